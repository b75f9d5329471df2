"""A batch lists each combination of dimensions once and loses nothing of an event."""

import msgspec

from metering.domain.usage.batches import Batch, canonical_tags, details_json, key_label
from metering.domain.usage.identity import record_digest
from support.builders import batch_of, rejected_record, usage_event


def test_events_that_share_their_dimensions_share_one_entry():
    batch = batch_of(usage_event(), usage_event(), usage_event(project="search"), usage_event())
    assert batch.events.dimensions == [0, 0, 1, 0]
    assert [dimensions.project for dimensions in batch.dimensions] == ["", "search"]


def test_an_event_carries_its_digest_fingerprint_and_claims():
    event = usage_event(id="a", source="gateway", response_id="r" * 20)
    stored = batch_of(event).events.at(0)
    assert stored.digest == record_digest("gateway", "a")
    assert len(stored.claims) == 1
    assert stored.succeeded


def test_declared_tags_are_dimensions_and_other_tags_are_details():
    batch = batch_of(usage_event(tags={"user": "u1", "team": "core", "app": "x"}), declared_tags=["team", "app"])
    assert batch.dimensions[0].tags == '{"app":"x","team":"core"}'
    assert batch.events.details[0] == '{"tags":{"user":"u1"}}'


def test_the_order_of_tags_does_not_change_the_series():
    one, other = usage_event(tags={"a": "1", "b": "2"}), usage_event(tags={"b": "2", "a": "1"})
    assert len(batch_of(one, other, declared_tags=["a", "b"]).dimensions) == 1


def test_cached_tags_are_not_mixed_up():
    stated = [{"a": "b"}, {"a": ""}, {}, {"a": "b"}]
    stored = batch_of(*(usage_event(tags=tags) for tags in stated)).events
    assert stored.details == ['{"tags":{"a":"b"}}', '{"tags":{"a":""}}', "", '{"tags":{"a":"b"}}']


def test_informational_costs_stay_on_the_event_even_if_zero():
    memos = {"reported_cost_nano": 0, "gateway_cost_nano": 5, "response_model": "x", "estimate_reason": "counted"}
    event = usage_event(**memos, tags={"u": "1"})
    assert msgspec.json.decode(batch_of(event).events.details[0]) == {
        "reported_cost_nano": 0,
        "gateway_cost_nano": 5,
        "response_model": "x",
        "estimate_reason": "counted",
        "tags": {"u": "1"},
    }


def test_a_batch_is_unchanged_by_passing_it_between_processes():
    batch = batch_of(usage_event(tags={"a": "b"}, response_id="r" * 20, status=None), rejected=[rejected_record()])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch) == batch


def test_details_without_values_are_empty():
    assert details_json(tags={}, reason="", cost=None) == ""
    assert canonical_tags({"a": "1"}, ["b"]) == ""


def test_a_value_that_looks_like_a_secret_is_replaced_by_a_label():
    for secret in ("hf_abcdefghijklmnop", "sk-abc", "a1B2" * 10):
        label = key_label(secret)
        assert secret not in label
        assert secret[3:] not in label
        assert label == key_label(secret)
    assert key_label("hf_one") != key_label("hf_two")
    assert [key_label(name) for name in ("prod-1", "", "team search key")] == ["prod-1", "", "team search key"]
