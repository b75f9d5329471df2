"""Requests that two servers could read differently never reach the upstream; all others do, with what belongs to one connection
left out."""

import pytest

from metering.sidecar.heads import BadHeadError, answer_head, checked_head, client_head, upstream_head
from support.canned_answers import MODEL
from support.raw_client import RawClient, request_bytes

BODY = b'{"model": "m", "messages": []}'


def post(*lines, body=BODY, first="POST /v1/chat/completions HTTP/1.1"):
    return (
        b"\r\n".join([first.encode(), *(each if isinstance(each, bytes) else each.encode() for each in lines), b"", b""]) + body
    )


LENGTH = f"content-length: {len(BODY)}"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
REFUSED = {
    "both lengths": post("host: a", LENGTH, "transfer-encoding: chunked", body=CHUNKED),
    "both lengths, chunked first": post("host: a", "transfer-encoding: chunked", LENGTH, body=CHUNKED),
    "two lengths": post("host: a", LENGTH, "content-length: 5"),
    "two equal lengths": post("host: a", LENGTH, LENGTH),
    "a list of lengths": post("host: a", f"content-length: {len(BODY)}, {len(BODY)}"),
    "a signed length": post("host: a", f"content-length: +{len(BODY)}"),
    "a negative length": post("host: a", "content-length: -1"),
    "a hexadecimal length": post("host: a", "content-length: 0x1e"),
    "an empty length": post("host: a", "content-length: "),
    "a length that does not fit": post("host: a", "content-length: 99999999999999999999999"),
    "an unknown coding": post("host: a", "transfer-encoding: gzip", body=b""),
    "two codings": post("host: a", "transfer-encoding: gzip, chunked", body=CHUNKED),
    "chunked twice": post("host: a", "transfer-encoding: chunked", "transfer-encoding: chunked", body=CHUNKED),
    "chunked, misspelled": post("host: a", "transfer-encoding: xchunked", body=CHUNKED),
    "chunked, then identity": post("host: a", "transfer-encoding: chunked, identity", body=CHUNKED),
    "a vertical tab before chunked": post("host: a", b"transfer-encoding: \x0bchunked", body=CHUNKED),
    "chunked with HTTP/1.0": post(
        "host: a", "transfer-encoding: chunked", body=CHUNKED, first="POST /v1/chat/completions HTTP/1.0"
    ),
    "a chunk size that is no number": post("host: a", "transfer-encoding: chunked", body=b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk size with a sign": post("host: a", "transfer-encoding: chunked", body=b"+5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk size with 0x": post("host: a", "transfer-encoding: chunked", body=b"0x5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk size that does not fit": post("host: a", "transfer-encoding: chunked", body=b"fffffffffffffffff\r\na"),
    "a chunk that is longer than stated": post("host: a", "transfer-encoding: chunked", body=b"5\r\nabcdefgh\r\n0\r\n\r\n"),
    "a chunk that ends with a newline alone": post("host: a", "transfer-encoding: chunked", body=b"5\nabcde\n0\n\n"),
    "lines that end with a newline alone": post("host: a", LENGTH).replace(b"\r\n", b"\n"),
    "one line that ends with a newline alone": post(b"host: a\nx: y", LENGTH),
    "a carriage return in a value": post("host: a", b"x: a\rb", LENGTH),
    "a NUL in a value": post("host: a", b"x: a\0b", LENGTH),
    "a NUL in a name": post("host: a", b"x\0y: a", LENGTH),
    "an escape in a value": post("host: a", b"x: \x1b[2J", LENGTH),
    "a space before the colon": post("host: a", f"content-length : {len(BODY)}"),
    "a tab before the colon": post("host: a", "transfer-encoding\t: chunked", LENGTH),
    "a space before the first name": post(" host: a", LENGTH),
    "a folded line": post("host: a", "x: a", " b", LENGTH),
    "a folded coding": post("host: a", "transfer-encoding:", " chunked", body=CHUNKED),
    "a name that is no token": post("host: a", "x(y): a", LENGTH),
    "a line without a colon": post("host: a", "nothing", LENGTH),
    "an empty name": post("host: a", ": a", LENGTH),
    "no host": post(LENGTH),
    "two hosts": post("host: a", "host: b", LENGTH),
    "an absolute target": post("host: a", LENGTH, first="POST http://other/v1/chat/completions HTTP/1.1"),
    "a target without a slash": post("host: a", LENGTH, first="POST v1/chat/completions HTTP/1.1"),
    "a target of all": post("host: a", LENGTH, first="OPTIONS * HTTP/1.1"),
    "a target with a space": post("host: a", LENGTH, first="POST /v1/a b HTTP/1.1"),
    "a tunnel": post("host: a", first="CONNECT other:443 HTTP/1.1", body=b""),
    "an upgrade": post("host: a", "connection: upgrade", "upgrade: websocket", first="GET /v1/realtime HTTP/1.1", body=b""),
    "an upgrade to HTTP/2": post("host: a", "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: a", LENGTH),
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/2.0": post("host: a", LENGTH, first="POST /v1/chat/completions HTTP/2.0"),
    "an unknown version": post("host: a", LENGTH, first="POST /v1/chat/completions HTTP/1.2"),
    "an unknown method": post("host: a", LENGTH, first="STEAL /v1/chat/completions HTTP/1.1"),
    "another expectation": post("host: a", LENGTH, "expect: a-miracle"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a target that is too long": post("host: a", LENGTH, first=f"POST /{'x' * 20_000} HTTP/1.1"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_a_request_that_is_refused_never_reaches_the_upstream(sidecar, upstream, data):
    smuggled = request_bytes("/v1/smuggled", b"", method="GET")
    with RawClient(sidecar.port) as client:
        client.send(data + smuggled)
        response = client.response()
        assert 400 <= response.status < 600, response.head
        assert response.header("connection") == "close"
        assert response.code
        assert client.rest() == b"", "nothing after the refusal is answered"
    assert [each.target for each in upstream.received] == []


def test_a_head_of_64_kb_is_read_and_a_longer_one_is_refused(sidecar, upstream):
    for size, status in ((63_000, 200), (70_000, 431), (300_000, 431)):
        with RawClient(sidecar.port) as client:
            client.send(request_bytes(body={"model": MODEL, "messages": []}, x_long="x" * size))
            response = client.response()
            assert response.status == status
            if status == 431:
                assert response.code == "head_too_large"
    assert [len(each.header("x-long") or "") for each in upstream.received] == [63_000]


def test_a_head_that_arrives_with_a_long_body_is_not_too_long(sidecar, upstream):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x" * 200_000}]}
    with RawClient(sidecar.port) as client:
        client.send(request_bytes(body=body))
        assert client.response().status == 200
    assert upstream.received[0].document == body


def test_a_request_is_read_byte_by_byte(raw, upstream):
    for byte in request_bytes(body={"model": MODEL, "messages": []}):
        raw.send(bytes([byte]))
    assert raw.response().status == 200


def test_what_belongs_to_one_connection_is_left_out_and_all_else_arrives_in_order(raw, upstream):
    raw.send(
        post(
            "host: sidecar", LENGTH, "Connection: keep-alive, X-Hop", "Keep-Alive: timeout=5", "TE: trailers", "X-Hop: 1",
            "Proxy-Authorization: Basic abc", "Proxy-Connection: keep-alive", "X-Metering-Project: p", "X-METERING-TAGS: a=b",
            "X-Metering-Anything: 1", "Accept-Encoding: gzip", "Authorization: Bearer hf_secret", "X-Custom: b", "X-Custom: a",
            b"X-Latin: caf\xe9",
        )
    )  # fmt: skip
    assert raw.response().status == 200
    (asked,) = upstream.received
    assert asked.headers == [
        ("host", upstream.url.removeprefix("http://")),
        ("authorization", "Bearer hf_secret"),
        ("x-custom", "b"),
        ("x-custom", "a"),
        ("x-latin", "caf\xe9"),
        ("accept-encoding", "identity"),
        ("content-length", str(len(BODY))),
    ]
    assert asked.body == BODY


def test_the_target_arrives_as_it_was_written(raw, upstream):
    target = "/v1/models/a%2Fb/../c?x=%20&y=a+b&&z#"
    raw.send(request_bytes(target.rstrip("#"), b"", method="GET"))
    assert raw.response().status == 200
    assert upstream.received[0].target == "/v1/models/a%2Fb/../c?x=%20&y=a+b&&z"


def test_chunks_with_extensions_and_trailers_are_framed_again(raw, upstream):
    chunks = b'5;name="v"\r\n{"mod\r\n%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n' % (len(BODY) - 5, BODY[5:])
    raw.send(post("host: a", "transfer-encoding: Chunked", body=chunks))
    assert raw.response().status == 200
    (asked,) = upstream.received
    assert asked.body == BODY
    assert (asked.header("content-length"), asked.header("transfer-encoding"), asked.header("x-trailer")) == (
        str(len(BODY)), None, None,
    )  # fmt: skip


def test_expect_100_continue_is_answered_and_not_passed_on(raw, upstream):
    raw.send(post("host: a", LENGTH, "expect: 100-continue", body=b""))
    assert raw.response().status == 100
    raw.send(BODY)
    assert raw.response().status == 200
    assert upstream.received[0].header("expect") is None


def test_an_http_1_0_client_is_answered_without_chunks_and_closed(raw, upstream):
    stream = {"model": MODEL, "messages": [], "stream": True}
    raw.send(request_bytes(body=stream, version="1.0"))
    response = raw.response()
    assert (response.status, response.header("transfer-encoding"), response.header("connection")) == (200, None, "close")
    assert response.body.endswith(b"data: [DONE]\n\n")


def test_an_http_1_0_client_can_keep_its_connection(raw):
    for _ in range(2):
        raw.send(request_bytes(body={"model": MODEL, "messages": []}, version="1.0", connection="keep-alive"))
        response = raw.response()
        assert (response.status, response.header("connection")) == (200, "keep-alive")


def test_pipelined_requests_are_answered_one_and_then_closed(raw, upstream):
    one = request_bytes(body={"model": MODEL, "messages": []})
    raw.send(one + one + one)
    assert raw.response().status == 200
    assert raw.rest() == b""
    assert len(upstream.received) == 1


def checked(*headers, method=b"POST", target=b"/v1", version="1.1"):
    return checked_head(method, target, list(headers), version, keep_alive=True, max_target=100)


def test_a_head_states_how_long_its_body_is():
    host = (b"host", b"a")
    assert checked(host).length == 0
    assert checked(host, (b"content-length", b"12")).length == 12
    assert checked(host, (b"transfer-encoding", b"CHUNKED")).length is None
    assert checked(version="1.0").length == 0
    with pytest.raises(BadHeadError) as refused:
        checked(host, target=b"/" + b"x" * 100)
    assert (refused.value.code, refused.value.status) == ("url_too_long", 414)


def test_a_body_is_announced_to_the_upstream_by_its_length_or_in_chunks():
    head = checked((b"host", b"a"), (b"content-length", b"9"))
    assert upstream_head(head, b"up", 12, plain_answer=False) == b"POST /v1 HTTP/1.1\r\nhost: up\r\ncontent-length: 12\r\n\r\n"
    assert upstream_head(head, b"up", None, plain_answer=False).endswith(b"transfer-encoding: chunked\r\n\r\n")
    get = checked((b"host", b"a"), method=b"GET")
    assert upstream_head(get, b"up", 0, plain_answer=False) == b"GET /v1 HTTP/1.1\r\nhost: up\r\n\r\n"
    assert upstream_head(head, b"up", 0, plain_answer=False).endswith(b"content-length: 0\r\n\r\n")
    added = upstream_head(head, b"up", 0, plain_answer=True, added=[(b"x-hf-session-id", b"s")])
    assert b"\r\nx-hf-session-id: s\r\naccept-encoding: identity\r\n" in added


def test_an_answers_head_is_passed_on_without_what_belongs_to_one_connection():
    headers = [
        (b"connection", b"x-hop"), (b"x-hop", b"1"), (b"trailer", b"x"), (b"content-length", b"5"), (b"x-a", b"1"),
        (b"x-a", b"2"),
    ]  # fmt: skip
    answer = answer_head(299, b"", headers)
    assert (answer.length, answer.is_chunked) == (5, False)
    head = client_head(answer, length=5, chunked=False, keep_alive=True, version="1.1")
    assert head == b"HTTP/1.1 299 Unknown\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 5\r\n\r\n"
    missing = answer_head(404, b"", [])
    head = client_head(missing, length=None, chunked=True, keep_alive=False, version="1.1")
    assert head == b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
