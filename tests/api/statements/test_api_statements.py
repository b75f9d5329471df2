"""``/v1/statements``: a month as JSON or CSV, and lists of statements."""

import csv
import io
from decimal import Decimal

import pytest

from support.native_events import native

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
URL = "/v1/statements/acme/2026-11"


@pytest.fixture
def month(admin):
    """20 dollars of usage on PRO; one request each that is unpriced, on a provider key, of unknown route, and failed."""
    admin.post("/v1/accounts/acme/plan", json={"plan": "pro", "effective": "2026-11-01"})
    million = {"input_tokens": 1_000_000}
    sent = [native(f"d{day}", time=f"2026-11-{day:02}T10:00:00Z", usage=million) for day in range(1, 21)]
    sent += [
        native("unpriced", model="nobody/knows"),
        native("own-key", route="provider_key"),
        native("unrouted", route=None),
        native("failed", status=500),
    ]
    assert admin.post("/v1/events", json=sent).json()["accepted"] == 24
    return admin


def test_a_month_that_has_not_begun_says_so(month):
    assert "not_begun" in month.get("/v1/statements/acme/2027-03").json()["flags"]
    assert "not_begun" not in month.get(URL).json()["flags"]


def test_a_statement_adds_up_to_what_is_owed(month):
    answer = month.get(URL)
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    # 20 x $1.00 of usage, $2.00 of credits, $9.00 of subscription
    totals = {name: found[name] for name in ("usage_usd", "credits_usd", "usage_payable_usd", "subscription_usd", "total_usd")}
    assert totals == {
        "usage_usd": "20.000000000", "credits_usd": "2.000000000", "usage_payable_usd": "18.000000000",
        "subscription_usd": "9.00", "total_usd": "27.00",
    }  # fmt: skip
    *lines, total = found["lines"]
    assert sum(Decimal(line["amount_usd"]) for line in lines) == Decimal(total["amount_usd"]) == 27
    assert [(line["kind"], line["amount_usd"]) for line in found["lines"]] == [
        ("usage", "20.000000000000"),
        ("subscription", "9.000000000000"),
        ("credit", "-2.000000000000"),
        ("residual", "0.000000000000"),
        ("total", "27.000000000000"),
    ]
    assert (found["total_nano_usd"], found["events"], found["failed_events"]) == (27_000_000_000, 24, 1)


def test_usage_excluded_from_the_total_is_listed_separately(month):
    found = month.get(URL).json()
    assert set(found["flags"]) == {"unpriced_usage", "route_unknown", "credit_is_upper_bound"}
    (unpriced,), (unknown,) = found["unpriced"], found["route_unknown"]
    assert (unpriced["model"], unpriced["amount_nano_usd"], unpriced["events"]) == ("nobody/knows", None, 1)
    assert unknown["quantities"] == {"input_tokens": 100, "output_tokens": 10}
    assert found["owed_to_partners_nano_usd"] == 120_000
    assert {line["route"] for line in found["owed_to_partners"]} == {"provider_key"}


def test_csv_and_json_have_the_same_lines(month):
    rows = list(csv.DictReader(io.StringIO(month.get(f"{URL}.csv").text)))
    lines = month.get(URL).json()["lines"]
    payable = [row for row in rows if row["section"] == "payable"]
    assert [(row["line"], row["amount_usd"]) for row in payable] == [(line["kind"], line["amount_usd"]) for line in lines]
    assert {row["section"] for row in rows} == {"payable", "owed_to_partner", "unpriced", "route_unknown"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv;q=0, */*;q=0.1", "application/json"),
        ("text/html, text/csv;q=0.1", "text/html"),
        ("image/png, text/csv;q=0.1", "text/csv"),
        ("application/pdf", "application/pdf"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", XLSX),
        ("APPLICATION/JSON", "application/json"),
    ],
)
def test_the_accept_header_decides(month, accept, expected):
    headers = {} if accept is None else {"accept": accept}
    answer = month.get(URL, headers=headers)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, expected)
    assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize("accept", ["image/png", "application/xml", "application/json;q=0", "*/*;q=0", "nonsense"])
def test_a_format_that_does_not_exist_is_not_acceptable(month, accept):
    answer = month.get(URL, headers={"accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert answer.headers["vary"] == "accept"


def test_a_download_has_a_name_that_any_client_can_save(admin):
    name = 'Söhne "x"; filename=evil'
    admin.post("/v1/accounts", json={"name": name})
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    answer = admin.get(f"/v1/statements/{quoted}/2026-11.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    plain, extended = answer.headers["content-disposition"].removeprefix("attachment; ").split("; ")
    assert plain == 'filename="statement-S_hne__x___filename_evil-2026-11.csv"'
    assert extended == "filename*=UTF-8''statement-S%C3%B6hne%20%22x%22%3B%20filename%3Devil-2026-11.csv"


def test_a_formula_in_a_name_is_escaped_in_the_csv(admin):
    admin.post("/v1/accounts", json={"name": "=HYPERLINK(1)"})
    text = admin.get("/v1/statements/%3DHYPERLINK(1)/2026-11.csv").text
    assert "\r\n1,'=HYPERLINK(1)," in text


def test_statements_are_listed_by_account_and_month_in_pages(month):
    sent = [native(f"g{n}", account="globex", time=f"2026-{n:02}-02T00:00:00Z") for n in (8, 9, 10)]
    month.post("/v1/events", json=sent)
    found, cursor = [], ""
    while True:
        page = month.get(f"/v1/statements?limit=2{cursor}").json()
        found += [(item["account"], item["month"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == [("acme", "2026-11"), ("globex", "2026-08"), ("globex", "2026-09"), ("globex", "2026-10")]
    only = month.get("/v1/statements?account=globex&limit=2").json()
    assert [item["month"] for item in only["items"]] == ["2026-08", "2026-09"]
    assert month.get(f"/v1/statements?account=acme&cursor={only['next_cursor']}").json()["code"] == "invalid_cursor"


def test_a_listed_statement_has_the_totals_of_the_whole_one(month):
    (item,) = month.get("/v1/statements").json()["items"]
    whole = month.get(URL).json()
    assert item == {name: whole[name] for name in item}


def test_the_next_page_follows_even_if_the_last_account_was_renamed(month):
    month.post("/v1/events", json=native("g", account="globex"))
    cursor = month.get("/v1/statements?limit=1").json()["next_cursor"]
    month.patch("/v1/accounts/acme", json={"name": "aardvark"})
    rest = month.get(f"/v1/statements?limit=1&cursor={cursor}").json()
    assert [item["account"] for item in rest["items"]] == ["globex"]


def test_a_month_without_usage_is_an_empty_statement(admin):
    assert admin.get("/v1/statements/acme/2026-01").json()["total_usd"] == "0.00"
