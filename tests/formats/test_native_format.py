"""The native event: what is kept, what is rejected, and that both decoding paths agree."""

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.instants import format_instant, parse_instant
from metering.domain.usage.events import QuantityGrade, UsageEvent
from metering.domain.usage.model_names import provider_name
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.options import DecodeOptions
from pricing.quantities import ALL_KINDS, MAX_QUANTITY, Quantities

NOW = parse_instant("2026-11-20T12:00:00Z")

EXAMPLE = {
    "id": "req_01", "source": "gateway-1", "time": "2026-11-03T10:15:00.123456Z", "account": "acme",
    "provider": "together", "model": "meta-llama/Llama-3.3-70B-Instruct", "operation": "chat", "route": "routed", "status": 200,
    "usage": {"input_tokens": 1200, "cache_read_tokens": 300, "output_tokens": 250, "reasoning_tokens": 100},
    "response_id": "ebafdc12cee84cf29c1b", "inference_id": "0-019ff423", "project": "search", "key": "prod-1",
    "tags": {"team": "core", "user": "u-17"}, "latency_ms": 840, "reported_cost_nano_usd": None,
}  # fmt: skip

MINIMAL = {"id": "m", "time": "2026-11-03T10:15:00Z", "model": "m"}


def native(**changes: Any) -> dict[str, Any]:
    """Return the example with some fields replaced; a field given as ``...`` is removed."""
    return {name: value for name, value in {**EXAMPLE, **changes}.items() if value is not ...}


def test_the_documented_example_keeps_every_field(decode):
    (decoded,) = decode("native", EXAMPLE).events
    assert decoded.event == UsageEvent(
        id="req_01",
        source="gateway-1",
        # 2026-11-03 is 20,760 days after 1970-01-01 and 10:15 is 36,900 seconds into it.
        time=(20_760 * 86_400 + 36_900) * 1_000_000 + 123_456,
        model="meta-llama/Llama-3.3-70B-Instruct",
        provider="together",
        operation="chat",
        account="acme",
        route="routed",
        status=200,
        quantities=Quantities(input_tokens=1200, cache_read_tokens=300, output_tokens=250, reasoning_tokens=100),
        response_id="ebafdc12cee84cf29c1b",
        inference_id="0-019ff423",
        project="search",
        key="prod-1",
        tags={"team": "core", "user": "u-17"},
        latency_ms=840,
    )
    assert (decoded.position.line, decoded.position.offset) == (1, 0)
    assert decoded.position.length == len(json.dumps(EXAMPLE))


def test_a_record_can_state_a_failure_that_its_status_does_not_show(decode):
    failed, answered = native(status=200, failure="server_error", usage=...), native(id="b", failure="")
    unread = native(id="c", failure="rate_limit:429", other=1)
    assert [d.event.failure for d in decode("native", failed, answered, unread).events] == [
        "server_error",
        "",
        "rate_limit:429",
    ]


def test_options_apply_where_the_record_states_nothing(decode):
    stated = {
        "account": "acme", "provider": "fal_ai", "model": "flux", "operation": "image_generation", "route": "provider_key",
        "project": "p", "key": "k",
    }  # fmt: skip
    (decoded,) = decode("native", {"id": "a", "time": "2026-11-03T10:15:00Z"}, **stated).events
    event = decoded.event
    assert (event.account, event.provider, event.model, event.operation) == ("acme", "fal-ai", "flux", "image_generation")
    assert (event.route, event.project, event.key, event.source) == ("provider_key", "p", "k", "test.log")
    (decoded,) = decode("native", EXAMPLE, **stated).events
    assert (decoded.event.account, decoded.event.provider, decoded.event.route) == ("acme", "together", "routed")


def test_a_models_suffix_names_the_provider_unless_the_record_does(decode):
    suffixed = native(model="Qwen/Qwen3-32B:groq", provider=...)
    policy = native(model="Qwen/Qwen3-32B:fastest", provider=None, id="b")
    both = native(model="Qwen/Qwen3-32B:groq", provider="Together_AI", id="c")
    served = [(d.event.model, d.event.provider) for d in decode("native", suffixed, policy, both).events]
    assert served == [("Qwen/Qwen3-32B", "groq"), ("Qwen/Qwen3-32B", "unknown"), ("Qwen/Qwen3-32B", "together")]


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": None}])
def test_no_usage_is_unknown_and_not_zero(decode, usage):
    (decoded,) = decode("native", native(usage=usage)).events
    assert decoded.event.quantity_grade == QuantityGrade.UNSTATED


@pytest.mark.parametrize("extra", [{}, {"not a field": 1}])
def test_nothing_but_zeros_is_unstated(decode, extra):
    """An answered request never used nothing. Both decoding paths agree."""
    (decoded,) = decode("native", native(usage={"input_tokens": 0, "output_tokens": 0}, **extra)).events
    assert decoded.event.quantity_grade == QuantityGrade.UNSTATED


def test_an_estimate_has_a_reason(decode):
    (decoded,) = decode("native", native(estimate_reason="no usage chunk")).events
    assert decoded.event.quantity_grade == QuantityGrade.ESTIMATED
    assert decoded.event.estimate_reason == "no usage chunk"


def test_digits_past_microseconds_never_round_to_the_next_day(decode):
    (decoded,) = decode("native", native(time="2026-10-31T23:59:59.9999999Z")).events
    assert decoded.event.time == parse_instant("2026-11-01T00:00:00Z") - 1


def test_a_time_without_a_zone_is_read_in_the_named_zone(decode):
    (decoded,) = decode("native", native(time="2026-11-03T10:15:00"), zone="Europe/Berlin").events
    assert decoded.event.time == parse_instant("2026-11-03T09:15:00Z")


def test_unknown_fields_are_reported_by_name_and_not_kept(decode):
    secret = "a prompt that must not be stored"
    block = decode("native", native(prompt=secret, note=secret), native(id="b", note=secret))
    assert block.unread_fields == {"prompt": 1, "note": 2}
    assert secret.encode() not in msgspec.json.encode(block)


def test_an_unknown_field_can_be_kept_as_a_tag(decode):
    block = decode(
        "native", native(region="eu", attempt=2, beta=True, score=0.5), tag_fields=("region", "attempt", "beta", "score")
    )
    assert block.events[0].event.tags == {
        "team": "core", "user": "u-17", "region": "eu", "attempt": "2", "beta": "true", "score": "0.5",
    }  # fmt: skip
    assert block.unread_fields == {}


BAD_RECORDS = [
    ("not_json", None, b'{"id": "x", "time" "2026"}'),
    ("not_json", None, b"hello"),
    ("not_json", None, b'{"id": "x"'),
    ("not_json", None, b"[" * 100_000),
    ("not_an_object", None, b'"text"'),
    ("not_an_object", None, b"[1, 2]"),
    ("not_an_object", None, b"null"),
    ("invalid_utf8", None, b'{"id": "\xff\xfe"}'),
    ("nul_byte", None, b'{"id": "\x00"}'),
    ("nul_byte", "id", native(id="a\0b")),
    ("nul_byte", "tags", native(tags={"team": "a\0b"})),
    ("invalid_utf8", "id", native(id="half \ud800 pair")),
    ("missing_time", "time", native(time=...)),
    ("missing_time", "time", native(time=None)),
    ("naive_time", "time", native(time="2026-11-03T10:15:00")),
    ("invalid_time", "time", native(time="yesterday")),
    ("invalid_time", "time", native(time=1_793_700_000)),
    ("implausible_time", "time", native(time="2019-12-31T23:59:59Z")),
    ("implausible_time", "time", native(time="2026-11-22T12:00:00Z")),
    ("missing_model", "model", native(model=...)),
    ("missing_model", "model", native(model="")),
    ("invalid_quantity", "usage.input_tokens", native(usage={"input_tokens": -1})),
    ("invalid_quantity", "usage.input_tokens", native(usage={"input_tokens": 1.5})),
    ("invalid_quantity", "usage.input_tokens", native(usage={"input_tokens": 10.0})),
    ("invalid_quantity", "usage.input_tokens", native(usage={"input_tokens": True})),
    ("invalid_quantity", "usage.input_tokens", native(usage={"input_tokens": "10"})),
    ("invalid_quantity", "usage.input_tokens", native(usage={"input_tokens": float("nan")})),
    ("invalid_quantity", "usage.input_tokens", native(usage={"input_tokens": float("-inf")})),
    ("invalid_quantity", "usage.output_tokens", native(usage={"output_tokens": MAX_QUANTITY + 1})),
    ("invalid_quantity", "usage.output_tokens", native(usage={"output_tokens": 10**30})),
    ("invalid_quantity", "usage", native(usage={"prompt_tokens": 7})),
    ("invalid_quantity", "latency_ms", native(latency_ms=-1)),
    ("invalid_quantity", "reported_cost_nano_usd", native(reported_cost_nano_usd=0.1)),
    ("reasoning_exceeds_output", "usage.reasoning_tokens", native(usage={"output_tokens": 5, "reasoning_tokens": 6})),
    ("wrong_type", "usage", native(usage=[1])),
    ("wrong_type", "account", native(account=7)),
    ("wrong_type", "tags", native(tags="core")),
    ("wrong_type", "tags", native(tags={"team": ["core"]})),
    ("too_long", "id", native(id="x" * 256)),
    ("too_long", "tags", native(tags={"team": "x" * 256})),
    ("too_many_tags", "tags", native(tags={f"t{i}": "x" for i in range(33)})),
    ("invalid_route", "route", native(route="sideways")),
    ("invalid_failure", "failure", native(failure="it repeats the prompt")),
    ("invalid_failure", "failure", native(failure="x" * 65)),
    ("invalid_failure", "failure", native(failure="code\n")),
    ("invalid_failure", "failure", native(failure=503)),
    ("invalid_status", "status", native(status=99)),
    ("invalid_status", "status", native(status="200")),
]


@pytest.mark.parametrize(("code", "field", "bad"), BAD_RECORDS)
def test_one_bad_record_is_rejected_with_its_reason_and_the_rest_is_read(decode, code, field, bad):
    before, after = native(id="before"), native(id="after")
    block = decode("native", before, bad, after)
    assert [d.event.id for d in block.events] == ["before", "after"]
    (rejected,) = block.rejected
    assert (rejected.code, rejected.field) == (code, field)
    assert rejected.position.line == 2
    assert rejected.position.offset == len(json.dumps(before)) + 1
    assert len(rejected.reason) > 15


def test_a_record_without_an_id_is_rejected_if_ids_are_required(decode):
    block = decode("native", native(id=...), native(id=""), native(), require_id=True)
    assert [r.code for r in block.rejected] == ["missing_id", "missing_id"]
    assert len(block.events) == 1


def test_a_rejected_record_keeps_its_identifying_fields_and_nothing_else(decode):
    (rejected,) = decode("native", native(status=7, prompt="the secret", tags={"a": "the secret"})).rejected
    assert rejected.kept == {
        "id": "req_01", "source": "gateway-1", "time": "2026-11-03T10:15:00.123456Z", "account": "acme",
        "provider": "together", "model": "meta-llama/Llama-3.3-70B-Instruct", "operation": "chat",
    }  # fmt: skip
    assert b"the secret" not in msgspec.json.encode(rejected)


def test_an_escaped_nul_in_an_unread_field_is_accepted(decode):
    block = decode("native", native(prompt="a\0b"))
    assert len(block.events) == 1


texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
names = st.text(string.ascii_letters + string.digits + "-_./ é", min_size=1, max_size=30).filter(str.strip)
counts = st.integers(0, MAX_QUANTITY)


failure_codes = st.text(string.ascii_letters + string.digits + "_.:-", min_size=1, max_size=64)


@st.composite
def usage_events(draw: st.DrawFn) -> UsageEvent:
    amounts = draw(st.lists(counts, min_size=len(ALL_KINDS), max_size=len(ALL_KINDS)))
    amounts[-1] = draw(st.integers(0, amounts[4]))
    reason = draw(texts)
    stated = any(amounts)
    return UsageEvent(
        id=draw(names),
        source=draw(names),
        time=draw(st.integers(parse_instant("2020-01-01T00:00:00Z"), NOW)),
        model=draw(names),
        provider=provider_name(draw(names)),
        operation=draw(names),
        account=draw(texts),
        route=draw(st.sampled_from(["", "routed", "provider_key", "serverless"])),
        status=draw(st.none() | st.integers(100, 599)),
        quantities=Quantities(*amounts),
        quantity_grade=(QuantityGrade.ESTIMATED if reason else QuantityGrade.MEASURED) if stated else QuantityGrade.UNSTATED,
        estimate_reason=reason,
        response_id=draw(texts),
        inference_id=draw(texts),
        project=draw(texts),
        key=draw(texts),
        tags=draw(st.dictionaries(texts, texts, max_size=4)),
        latency_ms=draw(st.none() | counts),
        reported_cost_nano=draw(st.none() | st.integers(0, 2**43 - 1)),
        gateway_cost_nano=draw(st.none() | st.integers(0, 2**43 - 1)),
        response_model=draw(texts),
        failure=draw(st.just("") | failure_codes),
    )


def as_native(event: UsageEvent) -> dict[str, Any]:
    """Write an event as a native record, without using the reader."""
    return {
        "id": event.id, "source": event.source, "time": format_instant(event.time), "account": event.account,
        "provider": event.provider, "model": event.model, "operation": event.operation, "route": event.route,
        "status": event.status, "usage": {kind: getattr(event.quantities, kind) for kind in ALL_KINDS},
        "response_id": event.response_id, "inference_id": event.inference_id, "project": event.project, "key": event.key,
        "tags": event.tags, "latency_ms": event.latency_ms, "reported_cost_nano_usd": event.reported_cost_nano,
        "gateway_cost_nano_usd": event.gateway_cost_nano, "response_model": event.response_model,
        "estimate_reason": event.estimate_reason, "failure": event.failure,
    }  # fmt: skip


@given(usage_events(), st.booleans(), st.booleans())
def test_an_event_is_unchanged_by_writing_and_reading_it(event, ascii_only, slow_path):
    record = as_native(event)
    if slow_path:
        record["not a field"] = 1
    line = json.dumps(record, ensure_ascii=ascii_only).encode()
    decoder = BlockDecoder("native", DecodeOptions(source="other", now=NOW))
    block = decoder.decode(RawBlock(line, 1, 0))
    assert block.rejected == []
    assert [d.event for d in block.events] == [event]
