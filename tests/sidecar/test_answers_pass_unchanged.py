"""An answer through the sidecar is the one that the upstream gives directly, and the event states what its body states."""

import gzip
import json

import pytest
import yaml

from metering.domain.usage.events import QuantityGrade
from pricing.quantities import Quantities
from support import canned_answers as canned
from support.canned_answers import MODEL
from support.places import DATA
from support.raw_client import RawClient, request_bytes
from support.upstream_server import Answer, json_answer, stream_answer

ASKED = {"stream_options": {"include_usage": True}}
NOTHING = Quantities()
CHAT, TRANSCRIPTIONS = "/v1/chat/completions", "/v1/audio/transcriptions"
LABELED = (("x-a", "1"), ("x-a", "2"), ("set-cookie", "a=b"))
# Name: (path, request, answer, operation, quantities).
EXCHANGES = {
    "chat": (CHAT, {}, json_answer(canned.chat()), "chat", canned.CHAT_QUANTITIES),
    "chat, chunked": (CHAT, {}, json_answer(canned.chat(), framing="chunked"), "chat", canned.CHAT_QUANTITIES),
    "chat, until closed": (CHAT, {}, json_answer(canned.chat(), framing="close"), "chat", canned.CHAT_QUANTITIES),
    "chat with a tool": (CHAT, {"tools": []}, json_answer(canned.chat_with_tool()), "chat", canned.CHAT_QUANTITIES),
    "chat stream": (
        CHAT, {"stream": True, **ASKED}, stream_answer(canned.chat_chunks(null_usage=True)), "chat",
        canned.CHAT_QUANTITIES,
    ),
    "completions": (
        "/v1/completions", {}, json_answer(canned.chat(object="text_completion")), "text_completion", canned.CHAT_QUANTITIES,
    ),
    "responses": ("/v1/responses", {}, json_answer(canned.responses()), "chat", canned.RESPONSES_QUANTITIES),
    "responses stream": (
        "/v1/responses", {"stream": True}, stream_answer(canned.responses_events()), "chat", canned.RESPONSES_QUANTITIES,
    ),
    "messages": ("/v1/messages", {}, json_answer(canned.messages()), "chat", canned.MESSAGES_QUANTITIES),
    "messages stream": (
        "/v1/messages", {"stream": True}, stream_answer(canned.messages_events()), "chat", canned.MESSAGES_QUANTITIES,
    ),
    "embeddings": ("/v1/embeddings", {}, json_answer(canned.embeddings()), "embeddings", canned.EMBEDDINGS_QUANTITIES),
    "images": ("/v1/images/generations", {}, json_answer(canned.images()), "image_generation", canned.IMAGES_QUANTITIES),
    "an image": (
        "/fal-ai/fal-ai/flux/dev", {"prompt": "a cat"}, Answer((b"\x89PNG",), media="image/png"), "image_generation",
        Quantities(images=1),
    ),
    "an image of hf-inference": (
        "/hf-inference/models/black-forest-labs/FLUX.1-dev", {"inputs": "a cat"},
        Answer((b"\x89PNG",), media="image/png", headers=(("x-compute-time", "2.5004"),)), "image_generation",
        Quantities(compute_ms=2_501),
    ),
    "rerank": ("/v1/rerank", {}, json_answer(canned.rerank()), "rerank", canned.RERANK_QUANTITIES),
    "speech": (
        "/v1/audio/speech", {"input": canned.SPEECH_TEXT}, Answer((b"ID3", b"\0\xff" * 9), media="audio/mpeg"), "speech",
        canned.SPEECH_QUANTITIES,
    ),
    "transcription": (
        TRANSCRIPTIONS, {}, json_answer(canned.transcription()), "transcription", canned.TRANSCRIPTION_QUANTITIES,
    ),
    "compressed, although not asked": (
        CHAT, {},
        Answer((gzip.compress(json.dumps(canned.chat()).encode()),), headers=(("content-encoding", "gzip"),)), "chat",
        canned.CHAT_QUANTITIES,
    ),
    "a compressed stream": (
        "/v1/messages", {"stream": True},
        stream_answer([gzip.compress(b"".join(canned.messages_events()))], headers=(("content-encoding", "gzip"),)), "chat",
        canned.MESSAGES_QUANTITIES,
    ),
    "no credits": (CHAT, {}, canned.NO_CREDITS, "chat", NOTHING),
    "limit reached": (CHAT, {}, canned.LIMIT_REACHED, "chat", NOTHING),
    "too many": ("/v1/messages", {}, canned.TOO_MANY, "chat", NOTHING),
    "loading": (CHAT, {"stream": True}, canned.LOADING, "chat", NOTHING),
    "bad request": (CHAT, {"stream": True}, json_answer(canned.openai_error("bad", "No."), 400), "chat", NOTHING),
    "headers and trailers": (
        CHAT, {},
        json_answer(canned.chat(), framing="chunked", headers=LABELED, trailers=(("x-t", "9"),)),
        "chat", canned.CHAT_QUANTITIES,
    ),
}  # fmt: skip
HOP = ("connection", "transfer-encoding")


def told(port, path, request, project=""):
    """Return (status, reason, headers, body) of an answer."""
    labels = {"x_metering_project": project} if project else {}
    with RawClient(port) as client:
        client.send(request_bytes(path, {"model": MODEL, "messages": [], **request}, **labels))
        response = client.response()
    assert response.is_complete
    reason = response.head.split(b"\r\n")[0].split(b" ", 2)[2]
    return response.status, reason, [pair for pair in response.headers if pair[0] not in HOP], response.body


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_answer_is_the_direct_one_and_is_metered_as_its_body_states(sidecar, upstream, project, name):
    path, request, answer, operation, quantities = EXCHANGES[name]
    upstream.script(answer, answer)
    direct = told(upstream.port, path, request)
    through = told(sidecar.port, path, request, project)
    if answer.framing == "length":
        assert sorted(through[2]) == sorted(direct[2])
    assert (through[0], through[1], through[3]) == (direct[0], direct[1], direct[3])
    assert {*through[2]} >= {pair for pair in direct[2] if pair[0] != "content-length"}
    event = sidecar.event(project)
    assert (event.status, event.operation, event.quantities) == (answer.status, operation, quantities)
    grade = QuantityGrade.UNSTATED if quantities == NOTHING else QuantityGrade.MEASURED
    assert (event.quantity_grade, event.charge_nano if answer.status >= 400 else None) == (
        grade, 0 if answer.status >= 400 else None,
    )  # fmt: skip


@pytest.mark.parametrize("null_usage", [False, True])
def test_usage_is_asked_for_and_the_chunk_that_the_client_did_not_ask_for_is_hidden(sidecar, upstream, project, null_usage):
    chunks = canned.chat_chunks(null_usage=null_usage)
    upstream.script(stream_answer(chunks))
    *_, body = told(sidecar.port, "/v1/chat/completions", {"stream": True}, project)
    assert body == b"".join([*chunks[:-2], chunks[-1]])
    assert upstream.received[0].document["stream_options"] == {"include_usage": True}
    event = sidecar.event(project)
    assert (event.quantities, event.quantity_grade) == (canned.CHAT_QUANTITIES, QuantityGrade.MEASURED)
    assert event.tags.keys() == {"first_byte_ms"}


def test_a_request_that_says_whether_it_wants_usage_is_passed_on_as_it_is(sidecar, upstream, project):
    for options in ({"include_usage": True}, {"include_usage": False}):
        told(sidecar.port, "/v1/chat/completions", {"stream": True, "stream_options": options}, project)
    assert [each.document["stream_options"] for each in upstream.received] == [
        {"include_usage": True},
        {"include_usage": False},
    ]
    asked, declined = sidecar.events(2, project)
    assert (asked.quantities, asked.quantity_grade) == (canned.CHAT_QUANTITIES, QuantityGrade.MEASURED)
    assert (declined.quantity_grade, declined.estimate_reason) == (QuantityGrade.ESTIMATED, "estimated_from_bytes")


def test_a_provider_that_refuses_to_be_asked_for_usage_is_asked_again_without(sidecar, upstream, project):
    model = f"only/{project}"
    chunks = canned.chat_chunks(with_usage=False)
    upstream.script(canned.NO_STREAM_OPTIONS, stream_answer(chunks), stream_answer(chunks))
    for _ in range(2):
        status, _, _, body = told(sidecar.port, "/v1/chat/completions", {"model": model, "stream": True}, project)
        assert (status, body) == (200, b"".join(chunks))
    # The second request of the model is not asked for usage at all.
    assert ["stream_options" in each.document for each in upstream.received] == [True, False, False]
    assert upstream.received[1].document == {"model": model, "messages": [], "stream": True}
    for event in sidecar.events(2, project):
        assert (event.status, event.quantity_grade, event.estimate_reason) == (
            200,
            QuantityGrade.ESTIMATED,
            "estimated_from_bytes",
        )
        # The prompt [] has 2 bytes: 1 token. Five chunks carry words of 4 + 5 + 3 + 10 (as \\u00eb) + 1 bytes; one byte of each
        # does not count: 18 bytes are 5 tokens, and five chunks are at least 5.
        assert event.quantities == Quantities(input_tokens=1, output_tokens=5)


def test_a_refusal_that_is_about_something_else_is_passed_on(sidecar, upstream, project):
    refusal = json_answer(canned.openai_error("context_length_exceeded", "Too long."), 400)
    upstream.script(refusal)
    status, _, _, body = told(sidecar.port, "/v1/chat/completions", {"stream": True}, project)
    assert (status, body) == (400, refusal.body)
    assert len(upstream.received) == 1


@pytest.mark.parametrize(
    "body", [b'{"usage"', b"[1, 2]", b"", b"\xff\xfe", b'{"usage": {"prompt_tokens": "many"}}', b'{"usage": 7}']
)
def test_an_answer_that_cannot_be_read_is_passed_on_and_estimated(sidecar, upstream, project, body):
    upstream.script(Answer((body,)))
    status, _, _, passed = told(sidecar.port, "/v1/chat/completions", {"messages": ["x" * 36]}, project)
    assert (status, passed) == (200, body)
    event = sidecar.event(project)
    # ["xxx…"] has 40 bytes: 10 tokens. The answer is measured by its bytes.
    assert (event.quantities.input_tokens, event.quantities.output_tokens) == (10, -(-len(body) // 4))
    assert event.quantity_grade == QuantityGrade.ESTIMATED


@pytest.mark.parametrize("fields", [{"id": 123}, {"id": "x" * 300}, {"model": ["m"]}, {"id": "a\0b"}, {"model": "y" * 999}])
def test_names_that_cannot_be_stored_do_not_cost_the_usage(sidecar, upstream, project, fields):
    upstream.script(json_answer(canned.chat(**fields)))
    told(sidecar.port, "/v1/chat/completions", {}, project)
    event = sidecar.event(project)
    assert (event.quantities, event.model) == (canned.CHAT_QUANTITIES, MODEL)


def test_wrong_compression_is_passed_on_and_estimated(sidecar, upstream, project):
    broken = gzip.compress(b'{"usage": {}}')[:10] + b"not gzip at all"
    upstream.script(Answer((broken,), headers=(("content-encoding", "gzip"),)))
    *_, passed = told(sidecar.port, "/v1/chat/completions", {}, project)
    assert passed == broken
    assert sidecar.event(project).quantity_grade == QuantityGrade.ESTIMATED


def test_a_large_answer_is_read_without_its_content(sidecar, upstream, project):
    document = canned.embeddings()
    document["data"] = [{"object": "embedding", "index": number, "embedding": [0.123456789] * 400} for number in range(100)]
    upstream.script(json_answer(document))
    told(sidecar.port, "/v1/embeddings", {}, project)
    assert sidecar.event(project).quantities == canned.EMBEDDINGS_QUANTITIES


def test_a_failed_response_with_status_200_is_a_failure(sidecar, upstream, project):
    failed = canned.responses(status="failed", error={"code": "server_error", "message": "secret"}, usage=None)
    upstream.script(json_answer(failed), stream_answer([canned.sse({"error": {"code": "overloaded", "message": "secret"}})]))
    told(sidecar.port, "/v1/responses", {}, project)
    told(sidecar.port, "/v1/chat/completions", {"stream": True}, project)
    events = sidecar.events(2, project)
    assert [(each.status, each.failure, each.charge_nano) for each in events] == [
        (200, "server_error", 0),
        (200, "overloaded", 0),
    ]


def test_what_a_provider_says_that_a_request_costs_is_kept_as_its_report(sidecar, upstream, project):
    upstream.script(json_answer(canned.chat(usage={**canned.CHAT_USAGE, "estimated_cost": 0.000123})))
    told(sidecar.port, "/v1/chat/completions", {}, project)
    assert sidecar.event(project).reported_cost_nano == 123_000


def recorded():
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in sorted((DATA / "hf_router").glob("*.yaml")):
        for each in yaml.load(path.read_text(encoding="utf-8"), Loader=loader)["interactions"]:
            if each["request"]["method"] == "POST":
                yield each


RECORDED = list(recorded())


@pytest.mark.skipif(not RECORDED, reason=f"the recorded exchanges are not at {DATA / 'hf_router'}")
@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_a_recorded_exchange_passes_unchanged_and_is_metered_as_its_body_states(sidecar, upstream, project, number):
    request, response = RECORDED[number]["request"], RECORDED[number]["response"]
    body = response.get("parsed_body")
    if body is not None:
        usage, answer = body["usage"], json_answer(body, framing="chunked")
        shown = answer.body
    else:
        events = [each + b"\n\n" for each in response["body"]["string"].strip().encode().split(b"\n\n")]
        usage_at = next(index for index, each in enumerate(events) if b'"usage":{' in each)
        usage, answer = json.loads(events[usage_at][6:])["usage"], stream_answer(events)
        shown = b"".join(events[:usage_at] + events[usage_at + 1 :])  # the client did not ask for it
    upstream.script(answer)
    path = request["uri"].removeprefix("https://router.huggingface.co")
    *_, passed = told(sidecar.port, path, request.get("parsed_body") or request["body"], project)
    assert passed == shown
    event = sidecar.event(project)
    assert event.provider == path.split("/")[1]
    assert (event.quantities.prompt_tokens, event.quantities.output_tokens) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )
