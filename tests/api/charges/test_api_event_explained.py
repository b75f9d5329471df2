"""``GET /v1/events/{event_id}``: why an event costs what it costs."""

from metering.operations.upkeep.retire_month import retire_month
from support.builders import FROM_2020, price_table, rate
from support.native_events import native

URL = "/v1/events/{}?account=acme"


def test_an_explanation_has_price_multiplications_rounding_and_history(admin, api):
    api.meter.record_prices(price_table(rate(37_500, 0, model="tiny"), source="cheap"))
    admin.post("/v1/events", json=native("a/b", model="tiny", usage={"input_tokens": 1, "cache_read_tokens": 2}))
    answer = admin.get(URL.format("a/b")).json()
    # 3 x 37,500 pico-USD, rounded up to 113 nano-USD
    assert [(part["kind"], part["quantity"], part["price_pico_usd"], part["per"], part["amount_pico_usd"], part["assumed"])
            for part in answer["multiplications"]] == [
        ("input_tokens", 1, 37_500, 1, "37500", False),
        ("cache_read_tokens", 2, 37_500, 1, "75000", True),
    ]  # fmt: skip
    assert (answer["sum_pico_usd"], answer["rounding_pico_usd"], answer["event"]["charge_nano_usd"]) == ("112500", "500", 113)
    price = answer["price"]
    assert (price["source"], price["layer"], price["account"]) == ("cheap", "operator", None)
    assert (price["effective_from"], price["recorded_at"]) == ("2020-01-01T00:00:00.000000Z", "2026-11-23T10:00:00.000000Z")
    (entry,) = answer["history"]
    assert (entry["entry"], entry["amount_nano_usd"], entry["amount_usd"], entry["run_id"], entry["table_id"]) == (
        "charge", 113, "0.000000113", None, price["table_id"],
    )  # fmt: skip


def test_a_reversal_is_negative_and_names_its_run(admin, api):
    admin.post("/v1/events", json=native("a"))
    api.meter.record_prices(price_table(rate(2_000_000, 0), effective_from=FROM_2020 + 1))
    api.meter.rerate(reason="contract")
    history = admin.get(URL.format("a")).json()["history"]
    assert [(each["entry"], each["amount_nano_usd"], each["run_id"], each["reason"]) for each in history] == [
        ("charge", 120_000, None, ""), ("reversal", -120_000, 1, "contract"), ("replacement", 200_000, 1, "contract"),
    ]  # fmt: skip


def test_an_ambiguous_id_is_a_conflict_that_lists_the_sources(admin):
    admin.post("/v1/events", json=[native("a"), native("a", source="other")])
    answer = admin.get(URL.format("a"))
    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_event")
    (named, other) = answer.json()["sources"]
    assert other == "other"
    for source in (named, other):
        assert admin.get(URL.format("a") + f"&source={source}").json()["event"]["source"] == source


def test_unknown_events_and_events_of_other_accounts_are_not_found(api, admin, acme):
    admin.post("/v1/events", json=native("theirs", account="globex"))
    theirs, nobodys = acme.get("/v1/events/theirs"), acme.get("/v1/events/nobodys")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.text.replace("theirs", "nobodys") == nobodys.text
    assert acme.get("/v1/events/theirs?account=globex").status_code == 404
    assert admin.get("/v1/events/theirs?account=globex").json()["event"]["account"] == "globex"
    assert admin.get("/v1/events/theirs").json()["code"] == "account_required"


def test_a_retired_event_is_gone_rather_than_not_found(api, admin):
    admin.post("/v1/events", json=native("a", time="2026-10-03T12:00:00Z"))
    api.meter.close(202610)
    retire_month(api.meter.engine, 202610, None, with_unresolved=False, now=api.meter.now)
    answer = admin.get(URL.format("a"))
    assert (answer.status_code, answer.json()["code"]) == (410, "events_retired")
    assert "2026-10" in answer.json()["detail"]
    assert admin.get(URL.format("b")).status_code == 404
