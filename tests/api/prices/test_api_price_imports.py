"""``POST /v1/prices/import`` and ``/v1/prices/discounts``: your own prices, and the usage they charge."""

import gzip

import pytest

from metering.storage.tables import price_tables
from support.every_call import SHEET
from support.native_events import native


def send(client, sheet=SHEET, query="", **headers):
    return client.post(f"/v1/prices/import{query}", content=sheet, headers={"content-type": "application/yaml", **headers})


@pytest.fixture
def unpriced(api):
    """One unpriced event each of acme and globex, for ``own-model``."""
    for name in ("acme", "globex"):
        event = native(account=None, model="own-model", usage={"input_tokens": 1})
        assert api.client("ingest", account=name).post("/v1/events", json=event).json()["accepted"] == 1
    return api


def test_an_imported_price_charges_usage_that_was_unpriced(unpriced, admin):
    # 37,500 pico-USD, rounded up to 38 nano-USD, twice
    answer = send(admin).json()
    assert (answer["file"], answer["account"], answer["left_out"]) == (None, None, [])
    assert (len(answer["tables_added"]), answer["charged"], answer["amount_nano_usd"]) == (1, 2, 76)
    assert answer["amount_usd"] == "0.000000076"
    again = send(admin).json()
    assert (again["tables_added"], again["charged"]) == ([], 0)


def test_charging_can_be_turned_off(unpriced, admin):
    answer = send(admin, query="?rate=false").json()
    assert (answer["charged"], answer["amount_nano_usd"], answer["amount_usd"]) == (None, None, None)


@pytest.mark.parametrize("query", ["", "?account=acme"])
def test_a_bound_key_imports_prices_of_its_own_account_only(unpriced, acme, query):
    answer = send(acme, query=query).json()
    assert answer["charged"] == 1
    (mine,) = [table for table in acme.get("/v1/prices/tables").json()["items"] if table["id"] in answer["tables_added"]]
    assert (mine["layer"], mine["account"]) == ("account", "acme")


def test_a_sheet_can_be_compressed_with_gzip(admin):
    assert len(send(admin, gzip.compress(SHEET.encode()), **{"content-encoding": "gzip"}).json()["tables_added"]) == 1


@pytest.mark.parametrize(
    ("sheet", "code", "named"),
    [
        (SHEET.replace("0.0375", "-1"), "invalid_price", "together own-model from 2026-11-01"),
        (SHEET.replace("0.0375", "0.03750000001"), "invalid_price", "own-model"),
        (SHEET.replace("USD", "EUR"), "invalid_price", "currency must be USD"),
        (SHEET.replace("    versions", "    versoins"), "invalid_price", "model 1"),
        ("<html></html>", "invalid_price", "HTML"),
        ("", "invalid_price", "empty"),
    ],
)
def test_a_bad_sheet_changes_nothing_and_the_problem_names_the_entry(api, admin, sheet, code, named):
    before = api.meter.count(price_tables)
    answer = send(admin, sheet)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert named in answer.json()["detail"]
    assert api.meter.count(price_tables) == before


def test_a_csv_sheet_is_named_by_the_source_parameter(unpriced, admin):
    rows = "provider,model,quantity,usd,per,effective_from\r\ntogether,own-model,input_tokens,0.0375,million,2026-11-01\r\n"
    answer = send(admin, rows, "?source=our+contract", **{"content-type": "text/csv"}).json()
    assert (answer["charged"], answer["amount_nano_usd"]) == (2, 76)
    sources = {table["id"]: table["source"] for table in admin.get("/v1/prices/tables").json()["items"]}
    assert [sources[table_id] for table_id in answer["tables_added"]] == ["our contract"]
    refused = send(admin, rows.replace("0.0375", "-1"), **{"content-type": "text/csv"})
    assert (refused.json()["code"], "line 2" in refused.json()["detail"]) == ("invalid_price", True)


def test_a_sheet_must_be_declared_as_yaml_or_csv(admin):
    answer = send(admin, **{"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


DISCOUNT = {"account": "acme", "percent": "12.5", "effective_from": "2026-11-01"}


def test_a_discount_lowers_the_accounts_charges_from_its_instant_on(api, admin):
    answer = admin.post("/v1/prices/discounts", json=DISCOUNT).json()
    # one model, on four routes
    assert (len(answer["tables_added"]), answer["prices"], answer["rounded"], answer["kept"]) == (4, 4, 0, [])
    assert (answer["account"], answer["percent"], answer["provider"], answer["model"]) == ("acme", "12.5", None, None)
    assert answer["effective_from"] == "2026-11-01T00:00:00.000000Z"
    assert admin.post("/v1/prices/discounts", json=DISCOUNT).json()["tables_added"] == []
    for name in ("acme", "globex"):
        api.client("ingest", account=name).post("/v1/events", json=native(account=None, usage={"input_tokens": 100}))
    spent = admin.get("/v1/spend?group_by=account").json()["rows"]
    assert {row["group"]["account"]: row["amount_nano_usd"] for row in spent} == {"acme": 87_500, "globex": 100_000}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"percent": "101"}, "invalid_discount"),
        ({"percent": "-1"}, "invalid_discount"),
        ({"percent": 12}, "invalid_request"),
        ({"model": "nothing"}, "invalid_discount"),
        ({"effective_from": "soon"}, "invalid_time"),
        ({"effective_from": "2026-12-01T00:00:00"}, "naive_time"),
        ({"color": "red"}, "invalid_request"),
    ],
)
def test_an_invalid_discount_is_refused(admin, change, code):
    answer = admin.post("/v1/prices/discounts", json=DISCOUNT | change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_replaced_discount_can_be_given_again(api, admin):
    for percent, amount in (("12.5", 87_500), ("10", 90_000), ("12.5", 87_500)):
        api.meter.now += 1
        assert len(admin.post("/v1/prices/discounts", json=DISCOUNT | {"percent": percent}).json()["tables_added"]) == 4
        before = api.meter.total()
        event = native(id=f"e{api.meter.now}", account=None, usage={"input_tokens": 100})
        api.client("ingest", account="acme").post("/v1/events", json=event)
        assert api.meter.total() - before == amount


def test_an_import_returns_the_tables_in_which_discounts_follow(api, admin):
    assert send(admin).json()["discounts_added"] == []
    admin.post("/v1/prices/discounts", json=DISCOUNT)
    assert len(send(admin, SHEET.replace("0.0375", "0.08")).json()["discounts_added"]) == 4
