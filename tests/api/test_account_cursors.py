"""A cursor of one account's list continues neither the list of another account nor that of all accounts."""

import pytest

from metering.operations.accounts.manage_accounts import show_account
from metering.storage.alerts.alerts import NewAlert, insert_alert
from metering.storage.engine.database import exclusive_write
from support.builders import instant
from support.native_events import native

ALSO_OF_ALL_ACCOUNTS = ("/v1/budgets", "/v1/invoices", "/v1/reconciliations", "/v1/alerts")
LISTS = (*ALSO_OF_ALL_ACCOUNTS, "/v1/events", "/v1/credits/ledger", "/v1/adjustments", "/v1/statements")


def two_of_each(api, client, account: str) -> None:
    """Give an account two items of every list."""
    october = native("a", account=account, time="2026-10-03T12:00:00Z")
    assert client.post("/v1/events", json=[october, native("b", account=account)]).status_code == 200
    owner = show_account(api.meter.engine, account).id
    for number, month in enumerate(("2026-10", "2026-11"), 1):
        named = {"account": account, "reference": f"r{number}"}
        bill = f"request_id,amount_nano_usd\nrequest-{number},100\n"
        invoice = client.post(
            f"/v1/invoices?account={account}&month={month}", content=bill, headers={"content-type": "text/csv"}
        )
        answers = [
            invoice,
            client.post("/v1/reconciliations", json={"invoice": invoice.json()["invoice"]["id"]}),
            client.post("/v1/budgets", json={"account": account, "amount_usd": "10"}),
            client.post("/v1/credits", json=named | {"amount_usd": "1"}),
            client.post("/v1/adjustments", json=named | {"month": month, "amount_usd": "-1", "reason": "agreed"}),
        ]
        assert all(answer.is_success for answer in answers), [answer.text for answer in answers]
        with exclusive_write(api.meter.engine) as connection:
            insert_alert(connection, NewAlert("usage.unpriced", f"{account} {number}", 1, "{}", account_id=owner), now=1)


@pytest.fixture
def filled(api, admin):
    """A client that sees all accounts; acme and globex have two items of every list."""
    api.meter.now = instant("2026-12-05T00:00:00Z")
    for account in ("acme", "globex"):
        two_of_each(api, admin, account)
    return admin


def test_a_cursor_of_an_account_is_valid_for_that_account_only(filled):
    for path in LISTS:
        first = filled.get(path, params={"account": "acme", "limit": 1} | period(path)).json()
        query = {"limit": 1, "cursor": first["next_cursor"]} | period(path)
        assert len(filled.get(path, params=query | {"account": "acme"}).json()["items"]) == 1
        assert code(filled.get(path, params=query | {"account": "globex"})) == (400, "invalid_cursor"), path
        if path in ALSO_OF_ALL_ACCOUNTS:
            assert code(filled.get(path, params=query)) == (400, "invalid_cursor"), path


def test_a_cursor_of_all_accounts_is_not_valid_for_one(filled):
    for path in ALSO_OF_ALL_ACCOUNTS:
        cursor = filled.get(path, params={"limit": 1}).json()["next_cursor"]
        query = {"limit": 1, "cursor": cursor, "account": "acme"}
        assert code(filled.get(path, params=query)) == (400, "invalid_cursor"), path


def test_a_cursor_is_not_valid_for_another_list_of_the_account(filled):
    by_id = ("/v1/budgets", "/v1/invoices", "/v1/reconciliations", "/v1/alerts", "/v1/credits/ledger", "/v1/adjustments")
    for path in by_id:
        cursor = filled.get(path, params={"account": "acme", "limit": 1}).json()["next_cursor"]
        for other in set(by_id) - {path}:
            answer = filled.get(other, params={"account": "acme", "limit": 1, "cursor": cursor})
            assert code(answer) == (400, "invalid_cursor"), (path, other)


def period(path: str) -> dict[str, str]:
    """Return the parameters that name the period with the events."""
    return {"start": "2026-10-01", "end": "2026-12-01"} if path == "/v1/events" else {}


def code(answer) -> tuple[int, str]:
    """Return the status and the code of a problem."""
    return answer.status_code, answer.json().get("code", "")
