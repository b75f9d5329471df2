"""What a path asks for, how errors look, how answers are framed, and what an upstream's address may be."""

import json

import pytest

from metering.sidecar.answer_framing import answer_framing
from metering.sidecar.answers import MAX_KEPT_BODY, AnswerBody
from metering.sidecar.heads import answer_head, checked_head
from metering.sidecar.refusals import Refusal, refusal_response
from metering.sidecar.upstream_address import InvalidUpstreamError, upstream_address
from metering.sidecar.wires import ErrorShape, wire_of

PATHS = {
    "/v1/chat/completions": ("chat", True, True),
    "/together/v1/chat/completions": ("chat", True, True),
    "/v1/chat/completions/": ("chat", True, True),
    "/v1/completions": ("completions", True, True),
    "/v1/responses": ("responses", True, False),
    "/openai/v1/responses": ("responses", True, False),
    "/v1/responses/input_tokens": ("none", False, False),
    "/v1/messages": ("messages", True, False),
    "/v1/messages/count_tokens": ("count_tokens", False, False),
    "/v1/embeddings": ("embeddings", True, False),
    "/v1/images/generations": ("images", True, False),
    "/v1/images/edits": ("images", True, False),
    "/v1/audio/transcriptions": ("transcription", True, False),
    "/v1/audio/speech": ("speech", True, False),
    "/v2/rerank": ("rerank", True, False),
    "/fal-ai/fal-ai/flux/dev": ("other", True, False),
    "/hf-inference/models/a/b/pipeline/feature-extraction": ("other", True, False),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_names_its_api(path):
    wire = wire_of(b"POST", path)
    assert (wire.name, wire.is_inference, wire.asks_for_usage) == PATHS[path]
    assert not wire_of(b"GET", path).is_inference
    assert not wire_of(b"DELETE", path).is_inference
    assert wire.errors is (ErrorShape.ANTHROPIC if "/messages" in path else ErrorShape.OPENAI)


def test_a_refusal_is_a_whole_response_in_the_shape_of_the_api():
    refusal = Refusal(402, "budget_exceeded", "no", {"budget": "b"}, retry_after_seconds=9)
    head, _, body = refusal_response(refusal, ErrorShape.OPENAI, keep_alive=True).partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 402 Payment Required", "content-type: application/json", f"content-length: {len(body)}",
        "connection: keep-alive", "x-metering-error: budget_exceeded", "retry-after: 9",
    ]  # fmt: skip
    assert json.loads(body) == {
        "error": {"message": "no", "type": "insufficient_quota", "param": None, "code": "budget_exceeded", "budget": "b"}
    }
    head, _, body = refusal_response(refusal, ErrorShape.ANTHROPIC, keep_alive=False).partition(b"\r\n\r\n")
    assert b"connection: close" in head
    error = {"type": "billing_error", "message": "no", "code": "budget_exceeded", "budget": "b"}
    assert json.loads(body) == {"type": "error", "error": error}


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls", "authority"),
    [
        ("https://router.huggingface.co", "router.huggingface.co", 443, True, b"router.huggingface.co"),
        ("https://router.huggingface.co/", "router.huggingface.co", 443, True, b"router.huggingface.co"),
        ("https://router.huggingface.co:443", "router.huggingface.co", 443, True, b"router.huggingface.co"),
        ("http://127.0.0.1:9000", "127.0.0.1", 9000, False, b"127.0.0.1:9000"),
        ("HTTP://Example.COM", "example.com", 80, False, b"example.com"),
        ("http://[::1]:80", "::1", 80, False, b"[::1]"),
        ("http://[::1]:81", "::1", 81, False, b"[::1]:81"),
        ("https://b\u00fccher.example", "xn--bcher-kva.example", 443, True, b"xn--bcher-kva.example"),
    ],
)
def test_an_upstream_is_a_scheme_and_a_host(url, host, port, is_tls, authority):
    address = upstream_address(url)
    assert (address.host, address.port, address.is_tls, address.authority) == (host, port, is_tls, authority)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must start with https://"),
        ("router.huggingface.co", "must start with https://"),
        ("ftp://a", "must start with https://"),
        ("https://", "has no host"),
        ("https://a/v1", "must end after the host"),
        ("https://a?x=1", "must end after the host"),
        ("https://a#x", "must end after the host"),
        ("https://a b", "contains a space"),
        ("https://a\r\nx: y", "contains a space or a control character"),
        ("https://a:99999", "is not a URL"),
        ("https://a:x", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://\u200b..", "has a host that is not valid"),
    ],
)
def test_any_other_upstream_is_refused_with_its_reason(url, reason):
    with pytest.raises(InvalidUpstreamError) as refused:
        upstream_address(url)
    assert reason in str(refused.value)
    assert "use an address such as https://router.huggingface.co" in str(refused.value)


def test_credentials_of_an_upstream_are_refused_and_not_repeated():
    with pytest.raises(InvalidUpstreamError) as refused:
        upstream_address("https://user:hf_secret@router.huggingface.co")
    assert "contains credentials" in str(refused.value)
    assert "hf_secret" not in str(refused.value)


def request(method=b"POST", version="1.1"):
    return checked_head(method, b"/", [(b"host", b"a")], version, keep_alive=True, max_target=10)


def test_an_answer_is_framed_by_its_length_in_chunks_or_by_the_end_of_the_connection():
    stated, unstated = answer_head(200, b"OK", [(b"content-length", b"5")]), answer_head(200, b"OK", [])
    by_length = answer_framing(stated, request(), is_edited=False)
    assert (by_length.length, by_length.piece(b"abc"), by_length.end([])) == (5, b"abc", b"")
    for framing in (
        answer_framing(unstated, request(), is_edited=False), answer_framing(stated, request(), is_edited=True),
    ):  # fmt: skip
        assert (framing.length, framing.is_chunked, framing.piece(b"abc")) == (None, True, b"3\r\nabc\r\n")
        assert framing.end([(b"x-t", b"1")]) == b"0\r\nx-t: 1\r\n\r\n"
    closing = answer_framing(unstated, request(version="1.0"), is_edited=False)
    assert (closing.ends_with_close, closing.piece(b"abc"), closing.end([])) == (True, b"abc", b"")
    assert b"connection: close" in closing.head(unstated, keep_alive=True)
    for bodiless in (
        answer_framing(stated, request(b"HEAD"), is_edited=True),
        answer_framing(answer_head(304, b"", [(b"content-length", b"5")]), request(), is_edited=False),
    ):
        assert (bodiless.length, bodiless.is_chunked) == (5, False)
    assert answer_framing(answer_head(204, b"", [(b"content-length", b"5")]), request(), is_edited=False).length is None


def body_of(pieces, *headers):
    body = AnswerBody(answer_head(200, b"OK", list(headers)), hides_usage=False)
    assert [body.feed(piece) for piece in pieces] == list(pieces)
    return body.statements()


LONG = b"[" + b"0.123456789," * 100_000 + b"0]"
JSON = (b"content-type", b"application/json")


@pytest.mark.parametrize("states_length", [False, True])
def test_the_usage_of_a_very_long_answer_is_read_from_its_end(states_length):
    pieces = [
        b'{"id": "emb-1", "object": "list", "data": [',
        *[LONG + b","] * 15,
        LONG,
        b'], "model": "m", ',
        b'"usage": ',
        b'{"prompt_tokens": 8}}',
    ]
    size = sum(map(len, pieces))
    assert size > MAX_KEPT_BODY
    length = [(b"content-length", b"%d" % size)] if states_length else []
    assert body_of(pieces, JSON, *length) == {"id": "emb-1", "object": "list", "usage": {"prompt_tokens": 8}}


def test_a_usage_within_the_text_of_a_very_long_answer_is_no_usage():
    text = json.dumps({"content": 'x"usage": {"prompt_tokens": 9}' + "x" * 1_000}).encode()
    assert body_of([b'{"data": [', *[LONG + b","] * 15, LONG, b"], ", text[1:]], JSON) == {}


def test_a_large_answer_of_an_unusual_shape_keeps_its_usage():
    for data in (b"null", b'{"a": 1}', b'"' + b"x" * 300_000 + b'"'):
        filler = b'"filler": "' + b"x" * 300_000 + b'"'
        assert body_of([b'{"data": ' + data + b', "usage": {"prompt_tokens": 8}, ' + filler + b"}"], JSON)["usage"] == {
            "prompt_tokens": 8
        }
