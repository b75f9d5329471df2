"""``GET /v1/events``: listing events page by page."""

import pytest

from metering.domain.instants import format_instant
from metering.operations.charges.rate_unpriced import rate_unpriced
from support.builders import HOUR, NOON, price_table, rate
from support.native_events import native

URL = "/v1/events?account=acme"


def post(client, *events):
    answer = client.post("/v1/events", json=list(events))
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def pages(client, url=URL, between=lambda: None, limit=3):
    """Read all pages; call ``between`` after each."""
    found, cursor = [], None
    while True:
        answer = client.get(f"{url}&limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        found += ids(answer)
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found
        between()


def test_an_event_is_listed_with_every_field_of_its_record(admin):
    sent = native(
        "req_01",
        source="gateway-1",
        time="2026-11-03T10:15:00.123456Z",
        operation="chat",
        usage={"input_tokens": 1200, "cache_read_tokens": 300, "output_tokens": 250, "reasoning_tokens": 100},
        response_id="ebafdc12cee84cf29c1b",
        inference_id="0-019ff423",
        project="search",
        key="prod-1",
        tags={"team": "core", "user": "u-17"},
        latency_ms=840,
        gateway_cost_nano_usd=7,
        estimate_reason="stream_interrupted",
    )
    post(admin, sent)
    (event,) = admin.get(URL).json()["items"]
    assert event.pop("rate_id") > 0
    assert event == {
        "id": "req_01", "source": "gateway-1", "account": "acme", "time": "2026-11-03T10:15:00.123456Z",
        "time_derived": False, "received_at": "2026-11-23T10:00:00.000000Z", "provider": "together", "model": "llama",
        "response_model": "", "operation": "chat", "route": "routed", "project": "search", "key": "prod-1",
        "tags": {"team": "core", "user": "u-17"}, "status": 200, "failure": "", "latency_ms": 840,
        "quantities": {"input_tokens": 1200, "cache_read_tokens": 300, "output_tokens": 250, "reasoning_tokens": 100},
        "quantity_grade": "estimated", "estimate_reason": "stream_interrupted",
        # 1,500 tokens at 1,000 nano-USD (the cache price is not known) and 250 at 2,000
        "charge_nano_usd": 2_000_000, "charge_usd": "0.002000000", "price_grade": "rated", "price_source": "",
        "cache_price_assumed": True, "billable": True, "billing_month": "2026-11",
        "response_id": "ebafdc12cee84cf29c1b", "inference_id": "0-019ff423",
        "reported_cost_nano_usd": None, "reported_cost_usd": None,
        "gateway_cost_nano_usd": 7, "gateway_cost_usd": "0.000000007",
    }  # fmt: skip


def test_events_are_ordered_by_time_then_arrival(admin):
    post(admin, native("late", time="2026-11-05T00:00:00Z"), native("b"), native("a"))
    assert ids(admin.get(URL)) == ["b", "a", "late"]


def test_a_period_is_half_open_and_defaults_to_the_current_month(admin):
    times = ["2026-10-31T23:59:59.999999Z", "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z"]
    post(admin, *(native(f"e{n}", time=time) for n, time in enumerate(times)))
    answer = admin.get(URL).json()
    assert (answer["start"], answer["end"]) == ("2026-11-01T00:00:00.000000Z", "2026-12-01T00:00:00.000000Z")
    assert [item["id"] for item in answer["items"]] == ["e1", "e2"]
    assert ids(admin.get(f"{URL}&start=2026-10-01&end=2026-11-01")) == ["e0"]
    assert ids(admin.get(f"{URL}&start=2026-11-01&end=2026-11-20T00:00:00Z")) == ["e1"]
    assert ids(admin.get(f"{URL}&start=2026-11-20T01:00:00%2B01:00")) == ["e2"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("start=yesterday", "invalid_time"),
        ("start=2026-11-01T00:00:00", "naive_time"),
        ("start=2026-13-01", "invalid_time"),
        ("start=1969-12-31", "invalid_time"),
        ("start=9999-01-01", "invalid_time"),
        ("end=0001-01-01T00:00:00%2B23:59", "invalid_time"),
        ("end=9999-12-31T23:59:59-23:59", "invalid_time"),
        ("start=2026-11-02&end=2026-11-02", "invalid_request"),
        ("start=2026-11-03&end=2026-11-02", "invalid_request"),
        ("limit=0", "invalid_request"),
        ("limit=1001", "invalid_request"),
        ("limit=99999999999999999999999999", "invalid_request"),
        ("limit=ten", "invalid_request"),
        ("status=7", "invalid_request"),
        ("price_grade=cheap", "invalid_request"),
        ("billable=perhaps", "invalid_request"),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(admin, query, code):
    answer = admin.get(f"{URL}&{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    named = answer.json()["errors"][0]["field"].split(".")
    assert named[:2] == ["query", "end" if code == "invalid_request" and "start" in query else query.split("=")[0]]


RESPONSE_ID = "ebafdc12cee84cf29c1b"
FILTERED = [
    ("id=a", ["a"]), ("id=a&id=b", ["a", "b"]), ("source=gateway-1", ["b"]), ("provider=fal-ai", ["c"]),
    ("model=llama", ["a", "b", "d"]), ("operation=embeddings", ["d"]), ("route=unknown", ["c"]), ("project=search", ["b"]),
    ("project=", ["a", "c", "d"]), ("key=prod-1", ["b"]), (f"response_id={RESPONSE_ID}", ["b"]),
    ("inference_id=0-019ff423", ["b"]), ("status=500", ["d"]), ("status=200", ["a", "b", "c"]),
    ("price_grade=unpriced", ["c"]), ("price_grade=exempt", ["d"]), ("price_grade=rated", ["a", "b"]),
    ("quantity_grade=unstated", ["c"]), ("billable=true", ["a", "b"]), ("billable=false", ["c", "d"]),
    ("model=llama&status=200&project=", ["a"]), ("id=nobody", []),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), FILTERED)
def test_different_filters_narrow_and_repeated_ones_widen(admin, query, expected):
    post(
        admin,
        native("a"),
        native("b", source="gateway-1", project="search", key="prod-1", response_id=RESPONSE_ID, inference_id="0-019ff423"),
        native("c", provider="fal-ai", model="flux", route=None, usage=None, time="2026-11-03T12:00:01Z"),
        native("d", operation="embeddings", status=500, time="2026-11-03T12:00:02Z"),
    )  # fmt: skip
    assert ids(admin.get(f"{URL}&{query}")) == expected


def test_pages_are_complete_and_do_not_overlap(admin):
    post(admin, *(native(f"e{n:02}", time=format_instant(NOON + n // 4 * HOUR)) for n in range(20)))
    assert pages(admin) == [f"e{n:02}" for n in range(20)]
    assert pages(admin, limit=20) == pages(admin, limit=1000) == pages(admin, limit=1) == pages(admin)


def test_events_that_arrive_between_pages_neither_repeat_nor_skip_others(admin):
    post(admin, *(native(f"e{n:02}", time=format_instant(NOON + n // 4 * HOUR)) for n in range(20)))
    arrived: list[str] = []

    def arrive():
        for at in (-1, len(arrived), 3, 40):  # before the cursor, near it, behind it
            arrived.append(f"new-{len(arrived)}")
            post(admin, native(arrived[-1], time=format_instant(NOON + at * HOUR)))

    found = pages(admin, between=arrive)
    assert len(found) == len(set(found))
    assert [each for each in found if each.startswith("e")] == [f"e{n:02}" for n in range(20)]


def test_a_cursor_is_only_valid_for_its_query(admin):
    post(admin, *(native(f"e{n}") for n in range(4)))
    cursor = admin.get(f"{URL}&limit=2").json()["next_cursor"]
    assert ids(admin.get(f"{URL}&limit=1&cursor={cursor}")) == ["e2"]
    for other in (f"{URL}&model=llama", f"{URL}&start=2026-11-02", "/v1/events?account=globex", "/v1/keys?"):
        answer = admin.get(f"{other}&cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_an_event_that_was_priced_later_shows_its_current_charge(admin, api):
    post(admin, native("a", model="late-model"), native("b"))
    (first, _) = admin.get(URL).json()["items"]
    assert (first["charge_nano_usd"], first["charge_usd"], first["rate_id"]) == (None, None, None)
    api.meter.record_prices(price_table(rate(model="late-model"), source="later"))
    rate_unpriced(api.meter.engine, now=api.meter.now)
    (first, second) = admin.get(URL).json()["items"]
    assert (first["price_grade"], first["charge_nano_usd"]) == ("rated", 120_000)
    assert first["rate_id"] not in (None, second["rate_id"])
    assert ids(admin.get(f"{URL}&price_grade=unpriced")) == []
    assert ids(admin.get(f"{URL}&price_grade=rated")) == ["a", "b"]


def test_values_that_the_cap_folded_are_shown_as_stated(api):
    admin = type(api)(api.meter, api.portal, series_cap=1).client("admin")
    post(admin, native("a"), native("b", project="search", key="k", tags={"team": "core"}))
    post(admin, native("c", model="another", operation="embeddings"))
    (_, b, c) = admin.get(URL).json()["items"]
    assert (b["project"], b["key"], b["tags"]) == ("search", "k", {"team": "core"})
    assert (c["model"], c["operation"]) == ("another", "embeddings")


def test_an_unbound_key_must_name_an_account_and_a_bound_key_need_not(admin, acme):
    post(admin, native("a"), native("b", account="globex"))
    answer = admin.get("/v1/events")
    assert (answer.status_code, answer.json()["code"]) == (400, "account_required")
    assert ids(acme.get("/v1/events")) == ["a"]
