"""Only a stated error makes a failure; what an answer shows is counted; what a gateway's cache answered is not bought."""

from typing import Any

import msgspec
import pytest

from metering.domain.usage.charging import succeeded
from metering.domain.usage.events import QuantityGrade
from metering.domain.usage.identity import claims_of
from pricing.quantities import Quantities

CREATED = 1_793_700_000
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
USED = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def answer(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": "chatcmpl-9f2c5d1e7a8b4c60", "object": "chat.completion", "created": CREATED, "model": "m",
        "choices": [{"index": 0, "message": {"content": "secret words"}, "finish_reason": "stop"}], "usage": None,
    }  # fmt: skip
    return {**plain, **changes}


def exchange(path: str = "chat/completions", body: Any = None, request: Any = None, **outer: Any) -> dict[str, Any]:
    return {
        "time": "2026-11-03T10:15:00Z",
        "request": {"url": f"https://router.huggingface.co/together/v1/{path}", "body": {"model": "m", **(request or {})}},
        "response": {"status": 200, "headers": {}, "body": answer() if body is None else body},
        **outer,
    }


def only_event(block):
    assert block.rejected == []
    (decoded,) = block.events
    return decoded.event


@pytest.mark.parametrize("usage", [None, {}, ZEROS])
@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"time": "2026-11-03T10:15:00Z", "response": body}])
def test_an_answer_without_a_status_or_usage_was_answered_and_used_what_is_not_known(decode, usage, wrap):
    event = only_event(decode("openai", wrap(answer(usage=usage))))
    assert (succeeded(event), event.quantity_grade, event.failure) == (True, QuantityGrade.UNSTATED, "")


FAILURES = [
    ({"error": {"message": "secret words", "code": "context_length_exceeded"}}, "context_length_exceeded"),
    ({"error": {"message": "secret words", "type": "overloaded_error", "code": None}}, "overloaded_error"),
    ({"error": {"message": "secret words"}}, "error"),
    ({"error": "secret words"}, "error"),
    ({"error": {"code": 429}}, "429"),
    ({"error": True}, "error"),
    ({"object": "response", "status": "failed"}, "failed"),
    ({"object": "response", "status": "incomplete", "error": {"code": "server_error"}}, "server_error"),
    ({"type": "error", "error": {"type": "api_error", "message": "secret words"}}, "api_error"),
    ({"choices": [{"index": 0, "finish_reason": "error"}]}, "error"),
    ({"choices": [{"index": 0, "finish_reason": "engine_error"}]}, "engine_error"),
]


@pytest.mark.parametrize(("stated", "failure"), FAILURES)
def test_a_stated_error_is_a_failure_and_only_its_code_is_kept(decode, stated, failure):
    block = decode("openai", answer(**stated))
    event = only_event(block)
    assert (event.failure, succeeded(event)) == (failure, False)
    assert b"secret words" not in msgspec.json.encode(block)
    # With a status of success and nothing used, the error that the body states counts.
    event = only_event(decode("openai", exchange(body=answer(**stated))))
    assert (event.failure, succeeded(event)) == (failure, False)


@pytest.mark.parametrize(
    "stated",
    [
        {"error": None}, {"error": ""}, {"error": {}}, {"error": {"message": None, "code": None}}, {"status": "completed"},
        {"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        {"choices": [{"index": 0, "finish_reason": "length"}]}, {"choices": [{"index": 0, "finish_reason": "content_filter"}]},
        {"choices": [{"index": 0, "finish_reason": "error"}, {"index": 1, "finish_reason": "stop"}]}, {"choices": []},
    ],
)  # fmt: skip
def test_what_states_no_error_is_no_failure(decode, stated):
    event = only_event(decode("openai", answer(**stated)))
    assert (event.failure, succeeded(event)) == ("", True)


def test_usage_of_a_successful_status_is_charged_even_if_the_last_words_are_an_error(decode):
    event = only_event(decode("openai", exchange(body=answer(usage=USED, error={"code": "server_error"}))))
    assert (succeeded(event), event.failure) == (True, "server_error")
    assert not succeeded(only_event(decode("openai", answer(usage=USED, error={"code": "server_error"}))))


def test_the_loggers_own_words_and_status_are_read_too(decode):
    assert only_event(decode("openai", {**exchange(), "status": "failure"})).failure == "failure"
    without_response = {
        "time": "2026-11-03T10:15:00Z",
        "request": {"body": {"model": "m"}},
        "response": None,
        "error": "timeout",
    }
    assert only_event(decode("openai", without_response)).failure == "timeout"
    beside = {"time": "2026-11-03T10:15:00Z", "status": 503, "request": {"body": {"model": "m"}}, "response": {"body": {}}}
    assert only_event(decode("openai", beside)).status == 503
    assert only_event(decode("openai", {**beside, "status": 1})).status is None


@pytest.mark.parametrize("usage", [None, ZEROS, {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}])
@pytest.mark.parametrize(
    ("shown", "images"),
    [
        ({"data": [{"url": "a"}, {"url": "b"}, {"url": "c"}]}, 3),
        ({"data": [{"b64_json": "aGk="}]}, 1),
        ({"output": ["https://a.example/1", "https://a.example/2"]}, 2),
        ({"output": "https://a.example/1"}, 1),
        ({"images": [{"url": "a"}, {"url": "b"}]}, 2),
        ({"image": {"url": "a"}}, 1),
    ],
)
def test_the_images_of_an_answer_are_counted_where_its_usage_says_nothing(decode, usage, shown, images):
    event = only_event(decode("openai", exchange("images/generations", {"created": CREATED, "usage": usage, **shown})))
    assert (event.quantities, event.quantity_grade) == (Quantities(images=images), QuantityGrade.MEASURED)


def test_an_answer_without_images_shows_nothing(decode):
    event = only_event(decode("openai", exchange("images/generations", {"created": CREATED, "data": []})))
    assert event.quantity_grade == QuantityGrade.UNSTATED


def test_seconds_and_characters_are_counted_from_what_is_shown(decode):
    heard = only_event(decode("openai", exchange("audio/transcriptions", {"text": "secret words", "duration": 8.4701})))
    assert heard.quantities == Quantities(audio_ms=8471)
    stated = only_event(decode("openai", exchange("audio/transcriptions", {"usage": {"seconds": 9}, "duration": 8.47})))
    assert stated.quantities == Quantities(audio_ms=9000)
    block = decode("openai", exchange("audio/speech", {}, {"input": "secret words"}))
    assert only_event(block).quantities == Quantities(characters=12)
    assert b"secret words" not in msgspec.json.encode(block)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"results": [], "meta": {"billed_units": {"search_units": 3}}}, Quantities(search_units=3)),
        ({"results": [{"relevance_score": 0.9}], "usage": {"total_tokens": 512}}, Quantities(input_tokens=512)),
        ({"usage": {"billed_units": {"input_tokens": 7, "output_tokens": 2}, "tokens": {"input_tokens": 70}}},
         Quantities(input_tokens=7, output_tokens=2)),
        ({"usageMetadata": {"promptTokenCount": 30, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 5,
                            "thoughtsTokenCount": 8, "cachedContentTokenCount": 10, "totalTokenCount": 47}},
         Quantities(input_tokens=24, cache_read_tokens=10, output_tokens=13, reasoning_tokens=8)),
        ({"usage_metadata": {"input_tokens": 30, "output_tokens": 9, "total_tokens": 39,
                             "input_token_details": {"cache_read": 10}, "output_token_details": {"reasoning": 4}}},
         Quantities(input_tokens=20, cache_read_tokens=10, output_tokens=9, reasoning_tokens=4)),
        ({"usage": {"inputTokens": 30, "outputTokens": 9, "totalTokens": 49, "cacheReadInputTokens": 10}},
         Quantities(input_tokens=30, cache_read_tokens=10, output_tokens=9)),
        ({"x_groq": {"usage": USED}}, Quantities(input_tokens=10, output_tokens=5)),
    ],
)  # fmt: skip
def test_other_apis_names_are_read(decode, body, expected):
    block = decode("openai", exchange("rerank" if "results" in body else "chat/completions", {"created": CREATED, **body}))
    assert only_event(block).quantities == expected
    assert block.unread_fields == {}


def test_what_stands_beside_usage_is_named(decode):
    block = decode("openai", exchange(body=answer(usage=USED, usageMetadata={"promptTokenCount": 1}, meta={"a": 1})))
    assert block.unread_fields == {"usageMetadata": 1, "meta": 1}
    assert decode("openai", answer(usage=USED, extra=None, other=1)).unread_fields == {"other": 1}


def test_a_tag_can_be_a_path_into_the_record_the_request_or_the_response(decode):
    record = exchange(body=answer(usage={**USED, "service_tier": "flex"}), request={"metadata": {"team": "core"}}, region="eu")
    tags = ("usage.service_tier", "metadata.team", "region", "usage", "not.there")
    block = decode("openai", record, tag_fields=tags)
    assert only_event(block).tags == {"usage.service_tier": "flex", "metadata.team": "core", "region": "eu"}
    assert block.unread_fields == {}
    native = {"id": "a", "time": "2026-11-03T10:15:00Z", "model": "m", "usage": {"input_tokens": 1, "service_tier": "flex"},
              "extra": {"team": "core"}}  # fmt: skip
    block = decode("native", native, tag_fields=("usage.service_tier", "extra.team"))
    assert only_event(block).tags == {"usage.service_tier": "flex", "extra.team": "core"}


CACHE_HITS = [
    {"cache_hit": True}, {"cache_hit": "True"}, {"cache_hit": True, "response_cost": 0}, {"hidden_params": {"cache_hit": True}},
]  # fmt: skip


@pytest.mark.parametrize("hit", CACHE_HITS)
def test_what_a_gateways_cache_answered_is_counted_and_not_bought(decode, hit):
    event = only_event(decode("openai", exchange(body=answer(usage=USED), **hit)))
    assert (event.gateway_cached, event.quantities, event.quantity_grade) == (True, Quantities(), QuantityGrade.MEASURED)
    assert claims_of(event) == []


@pytest.mark.parametrize(
    ("header", "value", "hit"),
    [
        ("x-portkey-cache-status", "HIT", True), ("x-portkey-cache-status", "SEMANTIC HIT", True),
        ("x-portkey-cache-status", "MISS", False), ("Helicone-Cache", "HIT", True), ("Helicone-Cache", "MISS", False),
        ("cf-aig-cache-status", "HIT", True), ("x-litellm-cache-key", "6f1a", True), ("x-cache", "HIT", False),
    ],
)  # fmt: skip
def test_the_headers_of_gateways_say_it_too(decode, header, value, hit):
    record = exchange(body=answer(usage=USED))
    record["response"]["headers"] = {header: value}
    assert only_event(decode("openai", record)).gateway_cached is hit


@pytest.mark.parametrize(
    "miss", [{"cache_hit": False}, {"cache_hit": None}, {"cache_hit": "False"}, {"cache_hit": True, "response_cost": 0.003}]
)
def test_what_was_bought_is_no_answer_of_the_cache(decode, miss):
    event = only_event(decode("openai", exchange(body=answer(usage=USED), **miss)))
    assert (event.gateway_cached, event.quantities.input_tokens) == (False, 10)


def test_a_cache_hit_does_not_take_the_id_of_the_answer_that_it_repeats(decode):
    bare = [answer(usage=USED), answer(usage=USED, cache_hit=True)]
    ids = [d.event.id for d in decode("openai", *bare).events]
    assert ids[0] == "chatcmpl-9f2c5d1e7a8b4c60"
    assert ids[1].startswith("chatcmpl-9f2c5d1e7a8b4c60~")


SPEND_LOG = (
    "request_id,call_type,spend,total_tokens,prompt_tokens,completion_tokens,startTime,endTime,model,custom_llm_provider,"
    "cache_hit,status\n"
)


def test_litellms_spend_log_is_read_by_its_own_columns(decode):
    rows = (
        "a1,chat,0.1,110,100,10,2026-11-03 10:15:00.5+00,2026-11-03 10:15:02+00,together_ai/org/m,together_ai,False,success\n"
        "a2,acompletion,0,110,100,10,2026-11-03 10:16:00+00,2026-11-03 10:16:00+00,together_ai/org/m,together_ai,True,success\n"
        "a3,acompletion,0,0,0,0,2026-11-03 10:17:00+00,2026-11-03 10:17:00+00,huggingface/novita/org/m,huggingface,,failure\n"
        "a4,acompletion,0,0,0,0,2026-11-03 10:17:00+00,2026-11-03 10:17:00+00,openai/gpt-oss-120b,openai,,success\n"
    )
    block = decode("csv", (SPEND_LOG + rows).encode())
    bought, cached, failed, unstated = (d.event for d in block.events)
    assert (bought.id, bought.model, bought.provider, bought.latency_ms) == ("a1", "org/m", "together", 1500)
    assert (bought.quantities, succeeded(bought)) == (Quantities(input_tokens=100, output_tokens=10), True)
    assert (cached.gateway_cached, cached.quantities) == (True, Quantities())
    assert (failed.model, failed.provider, failed.failure, succeeded(failed)) == ("org/m", "novita", "failure", False)
    assert (unstated.model, unstated.provider) == ("openai/gpt-oss-120b", "openai")
    assert (unstated.quantity_grade, succeeded(unstated)) == (QuantityGrade.UNSTATED, True)


def test_a_map_that_passes_over_the_cache_column_charges_no_cache_hit(decode):
    rows = "2026-11-03T10:15:00Z,m,5,1,True\n2026-11-03T10:15:00Z,m,5,1,\n"
    columns = {"time": "at", "model": "Model", "input_tokens": "in", "output_tokens": "out"}
    block = decode("csv", f"at,Model,in,out,cache_hit\n{rows}".encode(), columns=columns)
    assert [d.event.gateway_cached for d in block.events] == [True, False]
    assert block.unread_fields == {}


def test_words_in_a_mapped_status_are_no_reason_to_refuse_a_row(decode):
    rows = "".join(f"2026-11-03T10:15:00Z,m,5,1,{word}\n" for word in ("success", "FAILED", "odd"))
    text = f"at,Model,in,out,state\n{rows}".encode()
    columns = {"time": "at", "model": "Model", "input_tokens": "in", "output_tokens": "out", "status": "state"}
    block = decode("csv", text, columns=columns)
    assert [(d.event.status, d.event.failure) for d in block.events] == [(None, ""), (None, "failed")]
    assert [r.code for r in block.rejected] == ["invalid_status"]


def test_litellms_payload_is_read_by_its_response_or_else_by_its_own_counts(decode):
    payload = {
        "id": "chatcmpl-9f2c5d1e7a8b4c60", "status": "success", "custom_llm_provider": "together_ai", "response_cost": 0.0012,
        "model": "together_ai/org/m", "startTime": 1793700000.5, "endTime": 1793700002.5, "prompt_tokens": 10,
        "completion_tokens": 5, "total_tokens": 15, "cache_hit": None, "response": answer(usage=USED),
    }  # fmt: skip
    redacted = {**payload, "response": "redacted-by-litellm"}
    failed = {**payload, "id": "log-2", "status": "failure", "response": {}, "prompt_tokens": 0, "completion_tokens": 0}
    full, short, failure = (d.event for d in decode("openai", payload, redacted, failed).events)
    for event in (full, short):
        assert event.quantities == Quantities(input_tokens=10, output_tokens=5)
        assert (event.model, event.provider, event.gateway_cost_nano) == ("org/m", "together", 1_200_000)
    assert (failure.failure, succeeded(failure)) == ("failure", False)
