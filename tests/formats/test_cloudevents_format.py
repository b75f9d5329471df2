"""CloudEvents: the envelope applies where the native event in it states nothing."""

import json

import pytest

from metering.domain.errors import RecordError
from metering.formats.cloudevents import native_from_cloudevent

DATA = {"model": "m", "usage": {"input_tokens": 12345678901234567890, "output_tokens": 1.0}}
ENVELOPE = {
    "specversion": "1.0", "id": "e-1", "source": "/gateway", "type": "inference.request", "time": "2026-11-03T10:15:00Z",
    "subject": "acme", "datacontenttype": "application/json", "data": DATA,
}  # fmt: skip


def test_the_envelope_applies_where_the_data_states_nothing():
    record = json.loads(native_from_cloudevent(json.dumps(ENVELOPE).encode()))
    assert record == {**DATA, "id": "e-1", "source": "/gateway", "time": "2026-11-03T10:15:00Z", "account": "acme"}


def test_what_the_data_states_wins_over_the_envelope():
    own = {**DATA, "id": "own", "source": "s", "time": "2026-11-01T00:00:00Z", "account": ""}
    record = json.loads(native_from_cloudevent(json.dumps({**ENVELOPE, "data": own}).encode()))
    assert record == {**own, "account": "acme"}


def test_numbers_are_passed_through_unchanged():
    raw = json.dumps(ENVELOPE).replace("1.0}", "0.10000000000000000000001}").encode()
    assert b"0.10000000000000000000001" in native_from_cloudevent(raw)


def test_a_decoded_cloudevent_is_a_usage_event(decode):
    envelope = {**ENVELOPE, "data": {"model": "m:groq", "usage": {"output_tokens": 3}}}
    (decoded,) = decode("native", native_from_cloudevent(json.dumps(envelope).encode())).events
    event = decoded.event
    assert (event.id, event.source, event.account, event.provider) == ("e-1", "/gateway", "acme", "groq")


@pytest.mark.parametrize(
    ("code", "field", "envelope"),
    [
        ("not_a_cloudevent", "specversion", {**ENVELOPE, "specversion": "0.3"}),
        ("not_a_cloudevent", "specversion", DATA),
        ("missing_id", "id", {**ENVELOPE, "id": ""}),
        ("not_a_cloudevent", "source", {**ENVELOPE, "source": 5}),
        ("not_a_cloudevent", "type", {**ENVELOPE, "type": None}),
        ("wrong_type", "data", {**ENVELOPE, "data": "text"}),
        ("wrong_type", "data", {name: ENVELOPE[name] for name in ENVELOPE if name != "data"}),
        ("not_an_object", None, [ENVELOPE]),
    ],
)
def test_an_invalid_envelope_is_rejected_with_the_reason(code, field, envelope):
    with pytest.raises(RecordError) as caught:
        native_from_cloudevent(json.dumps(envelope).encode())
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_record_that_is_not_json_is_rejected_as_such():
    with pytest.raises(RecordError) as caught:
        native_from_cloudevent(b'{"specversion"')
    assert caught.value.code == "not_json"
