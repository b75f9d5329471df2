"""``POST /v1/events``: acknowledged events are stored, and one bad record does not affect the others."""

import asyncio
import json

import httpx
import pytest

from metering.runtime.group_writer import GroupWriter, TooBusyError
from metering.storage.engine.database import exclusive_write
from metering.storage.tables import events, quarantine
from support.api_limits import BATCH_EVENTS, BODY_BYTES
from support.native_events import native

COST = 120_000


def test_one_object_is_one_event(admin, api):
    answer = admin.post("/v1/events", json=native())
    assert answer.status_code == 200
    assert answer.json() == {
        "received": 1, "accepted": 1, "duplicate": 0, "copy": 0, "completed": 0, "conflict": 0, "rejected": 0, "unpriced": 0,
        "unassigned": 0, "route_unknown": 0, "series_capped": 0, "items": [], "unread_fields": {},
    }  # fmt: skip
    assert api.meter.total() == COST


def test_items_of_an_array_are_checked_separately_and_counted_from_zero(admin, api):
    sent = [native("a"), native("b", time="2026-11-03T12:00:00"), native("a"), "text", native("a", status=500)]
    answer = admin.post("/v1/events", json=sent).json()
    counts = {name: answer[name] for name in ("received", "accepted", "duplicate", "conflict", "rejected")}
    assert counts == {"received": 5, "accepted": 1, "duplicate": 1, "conflict": 1, "rejected": 2}
    listed = [(item["index"], item["line"], item["outcome"], item["code"], item["field"]) for item in answer["items"]]
    assert listed == [
        (1, None, "rejected", "naive_time", "time"),
        (2, None, "duplicate", "duplicate", None),
        (3, None, "rejected", "not_an_object", None),
        (4, None, "conflict", "conflict", None),
    ]
    assert [item["id"] for item in answer["items"]] == ["b", "a", "", "a"]
    assert api.meter.total() == COST


def test_sending_the_same_events_again_counts_nothing_twice(admin, api):
    admin.post("/v1/events", json=[native("a"), native("b")])
    again = admin.post("/v1/events", json=[native("a"), native("b"), native("c")]).json()
    assert (again["accepted"], again["duplicate"]) == (1, 2)
    assert api.meter.total() == 3 * COST


def test_the_source_is_the_records_then_the_querys_then_api(admin, api):
    admin.post("/v1/events", json=native("a", source="gateway-1"), params={"source": "query"})
    admin.post("/v1/events", json=native("b"), params={"source": "query"})
    admin.post("/v1/events", json=native("c"))
    found = admin.get("/v1/events", params={"account": "acme"}).json()["items"]
    assert {item["id"]: item["source"] for item in found} == {"a": "gateway-1", "b": "query", "c": "api"}


def test_a_native_event_needs_an_id(admin):
    answer = admin.post("/v1/events", json=[native(), native(None)])
    assert [item["code"] for item in answer.json()["items"]] == ["missing_id"]


def test_if_every_record_is_rejected_the_answer_is_a_problem_with_the_same_items(admin, api):
    answer = admin.post("/v1/events", json=[native("a", time="x"), native("b", model=None)])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["received"], problem["rejected"]) == ("all_rejected", 2, 2)
    assert [item["code"] for item in problem["items"]] == ["invalid_time", "missing_model"]
    assert api.meter.count(quarantine) == 2


def test_an_empty_array_has_no_records(admin):
    answer = admin.post("/v1/events", json=[])
    assert (answer.status_code, answer.json()["received"]) == (200, 0)


@pytest.mark.parametrize("body", [b"", b"{", b'{"id": 1', b"[1,", b"[1] x", b"\xff", b"nonsense", b'{"a":"\xff"}', b"[" * 5000])
def test_an_unreadable_document_is_a_problem_and_nothing_is_kept(admin, api, body):
    answer = admin.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")
    assert api.meter.count(events) == api.meter.count(quarantine) == 0


@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("media", ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"])
def test_an_empty_body_is_refused_with_what_is_expected(admin, media, body):
    answer = admin.post("/v1/events", content=body, headers={"content-type": media})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")
    assert answer.json()["detail"].startswith("the body is empty; send one ")


@pytest.mark.parametrize("value", ["text", 5, None, True])
def test_a_document_that_is_not_an_object_is_rejected_as_a_record(admin, value):
    answer = admin.post("/v1/events", content=json.dumps(value).encode(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["items"][0]["code"]) == (422, "not_an_object")


def test_unread_fields_are_counted_by_name_without_their_values(admin):
    answer = admin.post("/v1/events", json=native(prompt="the secret of life"))
    assert answer.json()["unread_fields"] == {"prompt": 1}
    assert "secret" not in answer.text


def test_a_prompt_in_a_rejected_record_is_neither_answered_nor_kept(admin, api):
    answer = admin.post("/v1/events", json=native(time=None, prompt="the secret of life", usage="also secret"))
    assert "secret" not in answer.text
    assert "secret" not in admin.get("/v1/quarantine").text


def test_usage_without_a_price_is_stored_and_counted_as_unpriced(admin):
    answer = admin.post("/v1/events", json=native(model="nobody/knows")).json()
    assert (answer["accepted"], answer["unpriced"]) == (1, 1)


def test_a_body_over_the_limit_of_events_stores_nothing(admin, api):
    answer = admin.post("/v1/events", json=[native(f"e{n}", usage=None) for n in range(BATCH_EVENTS + 1)])
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_events")
    assert api.meter.count(events) == 0
    most = admin.post("/v1/events", json=[native(f"e{n}", usage=None) for n in range(BATCH_EVENTS)])
    assert most.json()["accepted"] == BATCH_EVENTS


def test_a_body_at_the_size_limit_is_accepted_and_one_byte_more_is_not(admin, api):
    body = json.dumps(native()).encode()
    headers = {"content-type": "application/json"}
    assert admin.post("/v1/events", content=body.ljust(BODY_BYTES), headers=headers).status_code == 200
    refused = admin.post("/v1/events", content=body.ljust(BODY_BYTES + 1), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert refused.headers["content-type"] == "application/problem+json"


def test_an_undeclared_account_is_unassigned_unless_the_key_creates_accounts(admin, api):
    assert admin.post("/v1/events", json=native("a", account="new")).json()["unassigned"] == 1
    creator = api.client("ingest", creates_accounts=True)
    assert creator.post("/v1/events", json=native("b", account="new")).json()["unassigned"] == 0
    assert admin.get("/v1/events", params={"account": "new"}).json()["items"][0]["id"] == "b"
    assert admin.get("/v1/events", params={"account": "unassigned"}).json()["items"][0]["id"] == "a"


def test_the_querys_account_applies_to_records_without_one(admin):
    admin.post("/v1/events", json=[native("a", account=None), native("b", account="globex")], params={"account": "acme"})
    assert [item["id"] for item in admin.get("/v1/events?account=acme").json()["items"]] == ["a"]
    assert [item["id"] for item in admin.get("/v1/events?account=globex").json()["items"]] == ["b"]


def test_acknowledged_events_are_stored(admin, api):
    accepted = sum(admin.post("/v1/events", json=native(f"e{n}")).json()["accepted"] for n in range(5))
    assert api.meter.count(events) == accepted == 5
    assert api.meter.violations() == []


def test_an_overloaded_service_answers_when_to_try_again(api, admin, monkeypatch):
    def too_busy(*batch):
        raise TooBusyError("50,000 events are waiting to be stored")

    monkeypatch.setattr(GroupWriter, "submit", too_busy)
    for url in ("/v1/events", "/v1/events?source=gateway"):
        answer = admin.post(url, json=native())
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "too_busy", "1")
    assert api.meter.count(events) == 0


def test_requests_with_and_without_a_query_store_the_same_events(admin):
    with_query = admin.post("/v1/events?source=api", json=[native("a"), native("b")]).json()
    without = admin.post("/v1/events", json=[native("b"), native("c")]).json()
    assert (with_query["accepted"], without["accepted"], without["duplicate"]) == (2, 1, 1)


@pytest.mark.only_on("sqlite")  # whose lock the test holds
def test_a_canceled_request_does_not_affect_others(api):
    """Servers cancel the task of a client that disconnected; its events are still stored."""
    token = api.token("ingest")

    async def send():
        transport = httpx.ASGITransport(app=api.app)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            assert (await client.post("/v1/events", json=native("before"))).status_code == 200
            with exclusive_write(api.meter.engine):  # the writer waits for the lock
                waiting = [asyncio.create_task(client.post("/v1/events", json=native(f"r{number}"))) for number in range(3)]
                await asyncio.sleep(0.3)
                waiting[1].cancel()
                await asyncio.sleep(0.1)
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            after = await client.post("/v1/events", json=native("after"))
        return [type(answer) if isinstance(answer, BaseException) else answer.status_code for answer in (*answers, after)]

    assert asyncio.run(asyncio.wait_for(send(), 30)) == [200, asyncio.CancelledError, 200, 200]
    stored = {row.external_id for row in api.meter.rows(events.select())}
    assert stored == {"before", "r0", "r1", "r2", "after"}
