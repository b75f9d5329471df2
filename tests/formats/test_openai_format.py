"""OpenAI-compatible logs: every token is counted once in any convention, and no content is kept."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.errors import RecordError
from metering.domain.instants import parse_instant
from metering.domain.usage.events import QuantityGrade
from metering.formats.openai_usage import stated_usage
from metering.formats.unread_fields import UnreadFields
from metering.formats.usage_readings import split_prompt
from pricing.quantities import Quantities

CREATED = 1_793_700_000
TOGETHER = "https://router.huggingface.co/together/v1/chat/completions"
ROUTER = "https://router.huggingface.co/v1/chat/completions"


def body(**changes: Any) -> dict[str, Any]:
    """Return a chat completion's body with some fields replaced; ``...`` removes a field."""
    plain = {
        "id": "oV1moV9-zqrih-9c4b149d4b66d67b",
        "object": "chat.completion",
        "created": CREATED,
        "model": "deepseek-ai/DeepSeek-R1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "secret words"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return {name: value for name, value in {**plain, **changes}.items() if value is not ...}


def exchange(url: str = ROUTER, answer: Any = None, model: str = "deepseek-ai/DeepSeek-R1", **outer: Any) -> dict[str, Any]:
    """Return a request and its response."""
    return {
        "request": {"method": "POST", "url": url, "headers": {}, "body": {"model": model, "messages": ["secret words"]}},
        "response": {"status": 200, "headers": {}, "body": body() if answer is None else answer},
        **outer,
    }


def only_event(block):
    assert block.rejected == []
    (decoded,) = block.events
    return decoded.event


def quantities_of(usage: Any) -> Quantities | None:
    return stated_usage(usage, UnreadFields()).quantities


OPENAI = {
    "prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 600}, "completion_tokens_details": {"reasoning_tokens": 150},
}  # fmt: skip


def test_inclusive_and_disjoint_counts_give_the_same_quantities(decode):
    anthropic = {"input_tokens": 400, "cache_read_input_tokens": 600, "cache_creation_input_tokens": 0, "output_tokens": 200}
    first = only_event(decode("openai", body(usage=OPENAI))).quantities
    second = only_event(decode("openai", body(usage=anthropic, object=..., type="message"))).quantities
    assert (first.input_tokens, first.cache_read_tokens, first.output_tokens) == (400, 600, 200)
    assert (second.input_tokens, second.cache_read_tokens, second.output_tokens) == (400, 600, 200)
    assert first.reasoning_tokens == 150


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 269, "completion_tokens": 27, "prompt_tokens_details": None, "completion_tokens_details": None},
         Quantities(input_tokens=269, output_tokens=27)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 40},
         Quantities(input_tokens=60, cache_read_tokens=40, output_tokens=5)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 40, "prompt_tokens_details": {"cached_tokens": 40}},
         Quantities(input_tokens=60, cache_read_tokens=40, output_tokens=5)),
        ({"prompt_tokens": 100, "prompt_cache_hit_tokens": 40, "prompt_cache_miss_tokens": 60, "completion_tokens": 5},
         Quantities(input_tokens=60, cache_read_tokens=40, output_tokens=5)),
        ({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 30}, "output_tokens": 20,
          "output_tokens_details": {"reasoning_tokens": 12}},
         Quantities(input_tokens=70, cache_read_tokens=30, output_tokens=20, reasoning_tokens=12)),
        ({"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"audio_tokens": 30, "cached_tokens": 20},
          "completion_tokens_details": {"audio_tokens": 10}},
         Quantities(input_tokens=50, cache_read_tokens=20, input_audio_tokens=30, output_tokens=40, output_audio_tokens=10)),
        ({"prompt_tokens": 100, "completion_tokens": 1,
          "prompt_tokens_details": {"audio_tokens": 60, "cached_tokens": 50, "cached_tokens_details": {"audio_tokens": 20}}},
         Quantities(input_tokens=10, cache_read_tokens=50, input_audio_tokens=40, output_tokens=1)),
        ({"prompt_tokens": 100, "completion_tokens": 1,
          "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 30}},
         Quantities(input_tokens=50, cache_read_tokens=20, cache_write_tokens=30, output_tokens=1)),
        ({"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 1056,
          "output_tokens_details": {"image_tokens": 1056}},
         Quantities(input_tokens=10, input_image_tokens=40, output_image_tokens=1056)),
        ({"prompt_tokens": 8, "total_tokens": 8}, Quantities(input_tokens=8)),
        ({"type": "duration", "seconds": 7}, Quantities(audio_ms=7000)),
        ({"input_tokens": 4, "cache_read_input_tokens": None, "cache_creation_input_tokens": 70, "output_tokens": 2,
          "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 20}},
         Quantities(input_tokens=4, cache_write_tokens=50, cache_write_1h_tokens=20, output_tokens=2)),
        # A gateway that writes both spellings: the prompt count is OpenAI's, so it includes the cached tokens.
        ({"prompt_tokens": 100, "completion_tokens": 1, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10},
         Quantities(input_tokens=50, cache_read_tokens=40, cache_write_tokens=10, output_tokens=1)),
    ],
)  # fmt: skip
def test_every_spelling_of_usage_is_split_into_disjoint_buckets(usage, expected):
    assert quantities_of(usage) == expected


@given(*[st.integers(0, 1000)] * 5)
def test_a_prompt_is_split_without_losing_or_adding_a_token(prompt, cached, written, audio, image):
    if cached + written > prompt:
        with pytest.raises(RecordError):
            split_prompt(prompt, cached, written, audio, image)
        return
    parts, overlap = split_prompt(prompt, cached, written, audio, image)
    assert sum(parts.values()) == prompt
    assert min(parts.values()) >= 0
    assert parts["cache_read_tokens"] == cached
    assert overlap == (cached + written + audio + image > prompt)


def test_cached_audio_that_is_not_broken_down_is_counted_once_and_marked_as_an_estimate(decode):
    usage = {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 50}}
    event = only_event(decode("openai", body(usage=usage)))
    quantities = event.quantities
    assert (quantities.input_tokens, quantities.cache_read_tokens, quantities.input_audio_tokens) == (0, 80, 20)
    assert event.quantity_grade == QuantityGrade.ESTIMATED


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 3}])
def test_a_response_without_usage_is_unknown_and_not_zero(decode, usage):
    assert only_event(decode("openai", body(usage=usage))).quantity_grade == QuantityGrade.UNSTATED


BAD_RECORDS = [
    ("cached_exceeds_prompt", "usage.cached_tokens", body(usage={"prompt_tokens": 5, "cached_tokens": 6})),
    ("reasoning_exceeds_output", "usage.reasoning_tokens",
     body(usage={"prompt_tokens": 5, "completion_tokens": 6, "completion_tokens_details": {"reasoning_tokens": 7}})),
    ("invalid_quantity", "usage.prompt_tokens", body(usage={"prompt_tokens": -5, "completion_tokens": 6})),
    ("invalid_quantity", "usage.prompt_tokens", body(usage={"prompt_tokens": 5.5})),
    ("invalid_quantity", "usage.completion_tokens", body(usage={"prompt_tokens": 5, "completion_tokens": float("nan")})),
    ("invalid_quantity", "usage.completion_tokens_details", body(
        usage={"completion_tokens": 5, "completion_tokens_details": {"audio_tokens": 6}})),
    ("invalid_quantity", "usage.seconds", body(usage={"type": "duration", "seconds": -1})),
    ("wrong_type", "usage", body(usage="many")),
    ("missing_model", "model", body(model=...)),
    ("missing_time", "time", body(created=...)),
    ("implausible_time", "time", body(created=17)),
    ("naive_time", "time", exchange(time="2026-11-03T10:15:00")),
    ("invalid_time", "end_time", exchange(end_time=[])),
    ("invalid_quantity", "duration_ms", exchange(duration_ms=-1)),
    ("invalid_status", "status", exchange(answer=body()) | {"response": {"status": 999, "body": body()}}),
    ("invalid_route", "route", exchange(route="sideways")),
    ("too_long", "account", exchange(account="a" * 300)),
    ("nul_byte", "project", exchange(project="a\0")),
    ("wrong_type", "id", body(id=7)),
    ("not_an_object", None, b"[]"),
    ("not_json", None, b"POST /v1/chat/completions 200"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "field", "bad"), BAD_RECORDS)
def test_one_bad_record_is_rejected_with_its_reason_and_the_rest_is_read(decode, code, field, bad):
    block = decode("openai", body(id="record-before"), bad, body(id="record-after-it"))
    assert [d.event.id for d in block.events] == ["record-before", "record-after-it"]
    (rejected,) = block.rejected
    assert (rejected.code, rejected.field, rejected.position.line) == (code, field, 2)
    assert b"secret words" not in msgspec.json.encode(rejected)


def test_an_exchange_yields_provider_model_and_time(decode):
    record = exchange(TOGETHER, time="2026-11-03T10:15:00Z", latency_ms=840.5, account="acme", project="p", key="prod")
    event = only_event(decode("openai", record))
    assert event.id == event.response_id == "oV1moV9-zqrih-9c4b149d4b66d67b"
    assert (event.provider, event.route, event.model) == ("together", "routed", "deepseek-ai/DeepSeek-R1")
    assert (event.status, event.operation, event.latency_ms) == (200, "chat", 840)
    assert (event.account, event.project, event.key) == ("acme", "p", "prod")
    assert (event.time, event.time_derived) == (parse_instant("2026-11-03T10:15:00Z"), False)


def test_the_providers_header_wins_over_url_suffix_and_option(decode):
    named = exchange(ROUTER, model="m:groq")
    named["response"]["headers"] = {"X-Inference-Provider": ["Fireworks"], "Inference-Id": "0-019ff423-4542"}
    event = only_event(decode("openai", named, provider="novita"))
    assert (event.model, event.provider, event.inference_id) == ("m", "fireworks-ai", "0-019ff423-4542")
    assert only_event(decode("openai", exchange(TOGETHER, model="m:groq"))).provider == "together"
    assert only_event(decode("openai", exchange(ROUTER, model="m:groq"))).provider == "groq"
    assert only_event(decode("openai", exchange(ROUTER, model="m"), provider="novita")).provider == "novita"
    assert only_event(decode("openai", exchange(ROUTER, model="m:cheapest"))).provider == "unknown"


def test_a_request_to_another_host_has_no_route(decode):
    elsewhere = exchange("https://api.together.xyz/v1/chat/completions")
    assert only_event(decode("openai", elsewhere)).route == ""
    assert only_event(decode("openai", elsewhere, route="provider_key")).route == "provider_key"
    assert (
        only_event(decode("openai", exchange("https://router.huggingface.co.evil.example/together/v1"))).provider == "unknown"
    )


def test_compute_time_of_hf_inference_is_rounded_up_to_milliseconds(decode):
    record = exchange("https://router.huggingface.co/hf-inference/models/black-forest-labs/FLUX.1-dev", answer={})
    del record["request"]["body"]
    record["response"]["headers"] = {"x-compute-time": "10.0001", "x-compute-type": "gpu"}
    record["time"] = "2026-11-03T10:15:00Z"
    event = only_event(decode("openai", record))
    assert (event.provider, event.route, event.model) == ("hf-inference", "serverless", "black-forest-labs/FLUX.1-dev")
    assert event.quantities == Quantities(compute_ms=10_001)
    assert event.quantity_grade == QuantityGrade.MEASURED


def test_the_account_is_the_one_in_the_requests_header(decode):
    record = exchange()
    record["request"]["headers"] = {"X-HF-Bill-To": "acme-org", "Authorization": "Bearer hf_secret"}
    block = decode("openai", record, account="fallback")
    assert only_event(block).account == "acme-org"
    assert b"hf_secret" not in msgspec.json.encode(block)


def test_the_requested_model_is_priced_and_the_responses_model_kept(decode):
    record = exchange(model="meta-llama/Llama-3.1-8B-Instruct:novita", answer=body(model="meta-llama/llama-3.1-8b-instruct"))
    event = only_event(decode("openai", record))
    assert (event.model, event.response_model) == ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/llama-3.1-8b-instruct")


@pytest.mark.parametrize(
    ("outer", "time", "derived", "latency_ms"),
    [
        ({"start_time": "2026-11-03T10:00:00Z", "end_time": "2026-11-03T10:00:02Z"}, "2026-11-03T10:00:00Z", False, 2000),
        ({"end_time": "2026-11-03T10:00:00Z", "duration_ms": 1500}, "2026-11-03T09:59:58.5Z", True, 1500),
        ({"end_time": "2026-11-03T10:00:00Z"}, "2026-11-03T10:00:00Z", True, None),
        ({"timestamp": 1_793_700_000}, "2026-11-03T10:00:00Z", False, None),
        ({"timestamp": 1_793_700_000.5}, "2026-11-03T10:00:00.5Z", False, None),
        ({"timestamp": 1_793_700_000_123}, "2026-11-03T10:00:00.123Z", False, None),
        ({"timestamp": "1793700000123456"}, "2026-11-03T10:00:00.123456Z", False, None),
        ({"timestamp": 1_793_700_000_123_456_789}, "2026-11-03T10:00:00.123456Z", False, None),
        ({}, "2026-11-03T10:00:00Z", True, None),
    ],
)
def test_the_event_time_is_the_start_in_any_spelling(decode, outer, time, derived, latency_ms):
    event = only_event(decode("openai", exchange(**outer)))
    assert (event.time, event.time_derived, event.latency_ms) == (parse_instant(time), derived, latency_ms)


def test_a_failed_request_is_dated_by_its_response(decode):
    record = exchange(answer={"error": "You have depleted your monthly included credits."})
    record["response"] |= {"status": 402, "headers": {"date": "Tue, 03 Nov 2026 10:15:00 GMT"}}
    event = only_event(decode("openai", record))
    assert (event.status, event.quantity_grade) == (402, QuantityGrade.UNSTATED)
    assert (event.time, event.time_derived) == (parse_instant("2026-11-03T10:15:00Z"), True)


def sse(*chunks: Any) -> str:
    """Return chunks as the text of a stream."""
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


CHUNK = {
    "id": "ebafdc26c3296ed027c5cd6565fa1bce", "object": "chat.completion.chunk", "created": CREATED, "model": "m",
    "choices": [{"index": 0, "delta": {"content": "secret words"}}],
}  # fmt: skip
LAST_CHUNK = {**CHUNK, "choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 2, "prompt_tokens_details": None}}


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: {"string": text}])
def test_a_stream_is_metered_by_its_usage_chunk(decode, wrap):
    stream = sse(CHUNK, {**CHUNK, "usage": None}, LAST_CHUNK) + "data: [DONE]\n\n"
    event = only_event(decode("openai", exchange(answer=wrap(stream))))
    assert event.quantities == Quantities(input_tokens=40, output_tokens=2)
    assert event.response_id == "ebafdc26c3296ed027c5cd6565fa1bce"


def test_a_stream_and_the_same_response_unstreamed_have_the_same_fingerprint(decode):
    streamed = exchange(answer=sse(CHUNK, LAST_CHUNK))
    at_once = exchange(answer={**body(), "usage": LAST_CHUNK["usage"], "model": "m"})
    prints = {d.fingerprint for d in decode("openai", streamed, at_once).events}
    assert len(prints) == 1


def test_an_interrupted_stream_is_unknown_and_not_zero(decode):
    event = only_event(decode("openai", exchange(answer=sse(CHUNK) + 'data: {"id": "eba')))
    assert event.quantity_grade == QuantityGrade.UNSTATED


def test_streams_of_other_apis_are_collected_from_their_events(decode):
    responses = sse(
        {
            "type": "response.created",
            "response": {"id": "resp_67ccd2bed1ec8190", "object": "response", "created_at": CREATED, "model": "m"},
        },
        {"type": "response.output_text.delta", "delta": "secret words"},
        {
            "type": "response.completed",
            "response": {"id": "resp_67ccd2bed1ec8190", "usage": {"input_tokens": 9, "output_tokens": 4}},
        },
    )
    messages = sse(
        {"type": "message_start", "message": {
            "id": "msg_014p7gG3wDgGV9EUtLvnow3U", "model": "m",
            "usage": {"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 4}},
    )  # fmt: skip
    block = decode("openai", exchange(answer=responses), exchange(answer=messages, time="2026-11-03T10:15:00Z"))
    assert [d.event.quantities for d in block.events] == [
        Quantities(input_tokens=9, output_tokens=4),
        Quantities(input_tokens=9, cache_read_tokens=3, output_tokens=4),
    ]
    assert [d.event.id for d in block.events] == ["resp_67ccd2bed1ec8190", "msg_014p7gG3wDgGV9EUtLvnow3U"]


def test_a_response_can_be_json_text_next_to_its_request_or_the_record_itself(decode):
    as_text = exchange(answer=json.dumps(body(id="answer-as-text")))
    with_request = {**body(id="with_its_request"), "request": {"url": TOGETHER, "body": {"model": "m"}}, "account": "acme"}
    itself = {"time": "2026-11-03T10:15:00Z", "request": {"model": "m"}, "response": body(id="answer-itself")}
    events = [d.event for d in decode("openai", as_text, with_request, itself).events]
    assert [(e.id, e.quantities.input_tokens) for e in events] == [
        ("answer-as-text", 10),
        ("with_its_request", 10),
        ("answer-itself", 10),
    ]
    assert (events[1].provider, events[1].model, events[1].account) == ("together", "m", "acme")


@pytest.mark.parametrize(
    ("path", "answer", "operation"),
    [
        ("/v1/chat/completions", {}, "chat"),
        ("/v1/completions", {}, "text_completion"),
        ("/v1/responses", {}, "chat"),
        ("/v1/embeddings", {}, "embeddings"),
        ("/v1/images/generations", {}, "image_generation"),
        ("/v1/audio/transcriptions", {}, "transcription"),
        ("/v1/other", {"object": "text_completion"}, "text_completion"),
        ("/v1/other", {"object": "list", "data": [{"object": "embedding", "embedding": [0.1]}]}, "embeddings"),
        ("/v1/other", {"data": [{"b64_json": "aGk="}]}, "image_generation"),
        ("/v1/other", {}, "chat"),
    ],
)
def test_the_operation_follows_from_the_path_or_the_kind_of_response(decode, path, answer, operation):
    record = exchange(f"https://router.huggingface.co{path}", answer=answer, time="2026-11-03T10:15:00Z")
    assert only_event(decode("openai", record)).operation == operation


def test_images_are_counted_if_no_tokens_are_stated(decode):
    answer = {"created": CREATED, "data": [{"url": "https://a.example/1"}, {"url": "https://a.example/2"}]}
    record = exchange("https://router.huggingface.co/together/v1/images/generations", answer=answer)
    assert only_event(decode("openai", record)).quantities == Quantities(images=2)


@pytest.mark.parametrize(
    ("cost", "nano"),
    [("0.000860000", 860_000), ("0.0000000001", 1), ("1.1e-7", 110), ("-1", None), ("true", None), ('"0.5"', 500_000_000),
     ("1e300", None), ('"1e-999999999"', 1), ("0", 0), ("0.1", 100_000_000)],
)  # fmt: skip
def test_a_cost_is_read_without_a_float(decode, cost, nano):
    """The provider's, within the usage, and the gateway's, next to the response."""
    line = json.dumps(body(usage={"prompt_tokens": 1, "cost": "COST"})).replace('"COST"', cost).encode()
    event = only_event(decode("openai", line))
    assert (event.reported_cost_nano, event.gateway_cost_nano) == (nano, None)
    line = json.dumps(exchange(response_cost="COST")).replace('"COST"', cost).encode()
    event = only_event(decode("openai", line))
    assert (event.reported_cost_nano, event.gateway_cost_nano) == (None, nano)


def test_unread_fields_are_reported_by_name_and_no_content_is_kept(decode):
    record = exchange(answer=body(usage={"prompt_tokens": 1, "queue_time": 0.5}), comment="secret words", user="u-17")
    block = decode("openai", record, tag_fields=("user",))
    assert block.unread_fields == {"comment": 1, "usage.queue_time": 1}
    assert only_event(block).tags == {"user": "u-17"}
    assert b"secret words" not in msgspec.json.encode(block)


def test_a_lone_surrogate_in_a_response_does_not_reject_it(decode):
    assert (
        only_event(decode("openai", body(choices=[{"message": {"content": "half \ud800 pair"}}]))).quantities.input_tokens == 10
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"request": 5, "response": []}, {"request": None, "response": None}, {"response": {"body": 5, "headers": 5}},
        {"request": {"url": "http://[broken", "headers": [1, ["a"], {"name": 1}]}, "response": {"headers": {"a": []}}},
        {"response": {"body": {"data": [1], "object": {}, "usage": None}, "status": {"code": "abc"}}},
        {"request": {"uri": 5, "body": "{"}, "response": {"body": "data: 5\ndata: {\ndata: [DONE]"}},
    ],
)  # fmt: skip
def test_oddly_shaped_records_are_rejected_or_read_without_breaking_the_reader(decode, odd):
    block = decode("openai", odd, {**odd, "model": "m", "time": "2026-11-03T10:15:00Z"})
    assert len(block.rejected) + len(block.events) == 2
    assert block.rejected[0].code == "missing_model"
