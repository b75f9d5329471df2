"""The bodies of ``POST /v1/events``: media types, log formats, encodings."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.api_limits import BODY_BYTES
from support.native_events import native

COST = 120_000


def send(client, body, media, **query):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/v1/events", content=data, headers={"content-type": media}, params=query)


def lines(*records) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/ndjson", "application/jsonl"])
def test_lines_are_checked_separately_and_counted_from_one(admin, api, media):
    body = lines(native("a")) + b"\n" + b"{broken\n" + lines(native("b"))
    answer = send(admin, body, media).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert [(item["line"], item["index"], item["code"]) for item in answer["items"]] == [(3, None, "not_json")]
    assert api.meter.total() == 2 * COST


def test_an_empty_log_has_no_records(admin):
    assert send(admin, b"\n\n", "application/x-ndjson").json()["received"] == 0


def envelope(event_id="ce-1", **fields):
    return {"specversion": "1.0", "id": event_id, "source": "tracer", "type": "llm.request"} | fields


def data_of(**fields):
    return {name: value for name, value in native(None, **fields).items() if name not in ("id", "time", "account")}


def test_a_cloudevents_envelope_applies_where_its_data_states_nothing(admin, api):
    sent = envelope(subject="acme", time="2026-11-05T00:00:00Z", data=data_of())
    assert send(admin, sent, "application/cloudevents+json").json()["accepted"] == 1
    (stored,) = admin.get("/v1/events?account=acme").json()["items"]
    assert (stored["id"], stored["source"], stored["time"]) == ("ce-1", "tracer", "2026-11-05T00:00:00.000000Z")
    assert api.meter.total() == COST


def test_cloudevents_of_a_batch_are_checked_separately(admin):
    good = envelope(subject="acme", time="2026-11-05T00:00:00Z", data=data_of())
    old = envelope("ce-2", specversion="0.3", data=data_of())
    none = envelope("ce-3", subject="acme", time="2026-11-05T00:00:00Z")
    answer = send(admin, [old, good, none, 7], "application/cloudevents-batch+json").json()
    assert answer["accepted"] == 1
    listed = [(item["index"], item["code"], item["field"]) for item in answer["items"]]
    assert listed == [(0, "not_a_cloudevent", "specversion"), (2, "wrong_type", "data"), (3, "not_an_object", None)]
    assert [item["id"] for item in answer["items"]] == ["ce-2", "ce-3", ""]


def test_a_batch_of_cloudevents_must_be_an_array(admin):
    answer = send(admin, envelope(data=data_of()), "application/cloudevents-batch+json")
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")


OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_793_707_200,  # 2026-11-03T12:00:00Z
    "model": "llama",
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
}


@pytest.mark.parametrize(("media", "wrap"), [("application/json", lambda x: x), ("application/x-ndjson", lines)])
def test_openai_logs_are_read_with_the_defaults_of_the_query(admin, api, media, wrap):
    query = {"format": "openai", "account": "acme", "provider": "together", "route": "routed"}
    assert send(admin, wrap(OPENAI), media, **query).json()["accepted"] == 1
    assert api.meter.total() == COST


def test_csv_is_read_by_the_column_map_of_the_query(admin, api):
    body = b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n2026-11-03 12:00:00.1234567,100,10\r\n2026-11-03 12:00:01.0,x,10\r\n"
    query = {
        "columns": "time=TIMESTAMP,input_tokens=ContextTokens,output_tokens=GeneratedTokens",
        "zone": "UTC", "model": "llama", "provider": "together", "route": "routed", "account": "acme",
    }  # fmt: skip
    answer = send(admin, body, "text/csv", **query).json()
    assert (answer["accepted"], answer["rejected"], answer["items"][0]["line"]) == (1, 1, 3)
    assert api.meter.total() == COST


@pytest.mark.parametrize("columns", ["time", "=x", "time=", "colour=a,time=b", "time=a,time=b"])
def test_an_invalid_column_map_is_refused(admin, columns):
    answer = send(admin, b"a,b\n1,2\n", "text/csv", columns=columns)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.columns")


def test_a_csv_without_a_mapped_column_is_refused_as_a_whole(admin):
    answer = send(admin, b"a,b\n1,2\n", "text/csv", columns="time=TIMESTAMP")
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_column")
    assert "TIMESTAMP" in answer.json()["detail"]


def test_a_column_map_is_refused_for_other_formats(admin):
    answer = send(admin, native(), "application/json", columns="time=TIMESTAMP")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("name", ["source", "provider", "model", "operation", "project", "key"])
def test_a_default_with_a_control_character_is_refused(admin, name):
    answer = send(admin, native(), "application/json", **{name: "a\tb"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert f"{name} contains the control character U+0009" in answer.json()["detail"]


def test_an_unknown_time_zone_is_refused(admin):
    answer = send(admin, native(), "application/json", zone="Mars/Olympus")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_time")


def test_fields_named_in_the_query_become_tags(admin):
    body = {**native(), "team": "core"}
    assert send(admin, body, "application/json", tag_fields="team,region").json()["unread_fields"] == {}
    assert admin.get("/v1/events?account=acme").json()["items"][0]["tags"] == {"team": "core"}


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_an_unsupported_media_type_is_refused_with_the_supported_ones(admin, media):
    answer = send(admin, native(), media)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/x-ndjson" in answer.headers["accept"]


def test_utf_8_is_the_only_charset(admin):
    assert send(admin, native(), "Application/JSON; charset=UTF-8").status_code == 200
    assert send(admin, native(), "application/json; charset=iso-8859-1").status_code == 415


@pytest.mark.parametrize(
    ("media", "log_format"),
    [
        ("application/json", "csv"),
        ("text/csv", "native"),
        ("text/csv", "openai"),
        ("application/cloudevents+json", "openai"),
    ],
)
def test_a_format_that_does_not_fit_the_media_type_is_refused(admin, media, log_format):
    assert send(admin, native(), media, format=log_format).status_code == 415


def test_an_unknown_format_is_refused(admin):
    answer = send(admin, native(), "application/json", format="xml")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.format")


def gzipped(client, body: bytes, encoding="gzip"):
    headers = {"content-type": "application/json", "content-encoding": encoding}
    return client.post("/v1/events", content=body, headers=headers)


def test_a_gzip_body_is_decompressed(admin):
    assert gzipped(admin, gzip.compress(json.dumps(native()).encode())).json()["accepted"] == 1


def test_a_gzip_bomb_is_not_decompressed(admin):
    bomb = gzip.compress(b" " * 100 * BODY_BYTES)
    assert len(bomb) < BODY_BYTES
    answer = gzipped(admin, bomb)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_invalid_truncated_or_trailing_gzip_data_is_refused(admin):
    whole = gzip.compress(json.dumps(native()).encode())
    for body in (b"{}", whole[:-5], whole + b"more", b""):
        answer = gzipped(admin, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_encoding")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate"])
def test_any_other_encoding_is_refused(admin, encoding):
    assert gzipped(admin, b"{}", encoding).status_code == 415


@pytest.fixture(scope="module")
def any_body():
    json_value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*native(), "x"]), inner, max_size=6),
        max_leaves=12,
    )
    return st.one_of(st.binary(max_size=200), json_value.map(lambda value: json.dumps(value).encode()))


MEDIA = [
    "application/json",
    "application/x-ndjson",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "text/csv",
]


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_counted_or_refused_with_a_problem(admin, any_body, data):
    answer = send(admin, data.draw(any_body), data.draw(st.sampled_from(MEDIA)))
    found = answer.json()
    assert answer.status_code in (200, 400, 413, 422)
    if "received" in found:
        outcomes = ("accepted", "duplicate", "copy", "conflict", "rejected")
        assert found["received"] == sum(found[name] for name in outcomes)
        assert len(found["items"]) == found["received"] - found["accepted"]
    else:
        assert found["code"] in ("not_json", "unknown_format", "empty_file", "missing_column")
