"""An invoice of sums: an explanation of a difference names the metered requests that would make it true."""

import csv
from typing import Any

import pytest

from metering.domain.accounts.plan_history import PlanChange
from metering.domain.instants import date_of
from metering.exports.reconciliation_csv import evidence_csv
from metering.operations.accounts.manage_plans import set_plan
from metering.operations.reconciliation.explain_variance import explain_variance
from metering.operations.reconciliation.export_evidence import export_all_evidence, export_requests
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from pricing.rates import Price
from support.assigning import assign
from support.bills import AFTER, END, START, reconciled, steps
from support.builders import HOUR, instant, price_table, rate, usage_event

NOON = instant("2026-11-10T12:00:00Z")
CHARGE = 120_000  # a hundred tokens in, ten out
DAY = {"date": "2026-11-10", "provider": "together", "model": "llama"}


def request(number, **fields):
    return usage_event(**{"id": f"r{number:02}", "time": NOON + number} | fields)


@pytest.fixture
def twenty(meter):
    """Twenty requests of different sizes at noon, two of them failed, three on the account's own key."""
    meter.now = AFTER
    others: dict[int, dict[str, Any]] = {
        3: {"status": 500},
        4: {"status": 500},
        5: {"route": "provider_key"},
        6: {"route": "provider_key"},
    }
    others[7] = {"route": "provider_key", "model": "llama-small"}
    meter.record_prices(price_table(rate(300_000, 700_000, model="llama-small"), source="small"))
    meter.ingest(*(request(number, quantities=tokens(number), **others.get(number, {})) for number in range(20)))
    return meter


def tokens(number):
    return Quantities(input_tokens=1_000 + 37 * number, output_tokens=10 + number)


def charge(number):
    """Return the charge at a dollar per million input tokens and two per million output tokens."""
    return (1_000 + 37 * number) * 1_000 + (10 + number) * 2_000


BILLED = [number for number in range(20) if number not in range(3, 8)]
OURS = sum(map(charge, BILLED))


def only(report):
    (variance,) = report.variances
    return variance


def contributing(meter, variance):
    return [(each.event_id, each.amount_nano, each.explanation) for _, each in export_requests(meter.engine, variance.id)]


def test_failed_requests_that_a_sum_includes_are_named(twenty):
    report = reconciled(twenty, [DAY | {"amount_nano_usd": OURS + charge(3) + charge(4)}])
    assert steps(report) == {"failed_billed": charge(3) + charge(4)}
    assert contributing(twenty, only(report)) == [("r03", charge(3), "failed_billed"), ("r04", charge(4), "failed_billed")]


def test_usage_on_an_own_key_that_a_sum_includes_is_named_and_no_other(twenty):
    month = {"provider": "together", "amount_nano_usd": OURS + charge(5) + charge(6)}
    report = reconciled(twenty, [month])
    detail = "model together/llama"
    assert (only(report).cause, only(report).detail) == ("other_route_billed", detail)
    assert contributing(twenty, only(report)) == [
        ("r05", charge(5), f"other_route_billed:{detail}"),
        ("r06", charge(6), f"other_route_billed:{detail}"),
    ]


def test_usage_without_a_line_is_named(twenty):
    twenty.ingest(request(50, time=NOON + 24 * HOUR, quantities=tokens(50)))
    report = reconciled(twenty, [DAY | {"amount_nano_usd": OURS}])
    assert steps(report) == {"missing_there": -charge(50)}
    assert contributing(twenty, only(report)) == [("r50", -charge(50), "missing_there")]


def test_requests_that_a_shifted_period_adds_and_removes_are_named(twenty):
    twenty.ingest(
        request(60, time=START + HOUR // 2, quantities=tokens(60)),
        request(61, time=END + HOUR // 2, quantities=tokens(61)),
        request(62, time=END + 30 * HOUR, quantities=tokens(62)),
    )
    report = reconciled(twenty, [{"provider": "together", "amount_nano_usd": OURS + charge(61)}])
    assert (only(report).cause, only(report).detail) == ("period_edge", "+1 h")
    assert contributing(twenty, only(report)) == [
        ("r60", -charge(60), "period_edge:+1 h"),
        ("r61", charge(61), "period_edge:+1 h"),
    ]


def test_cached_tokens_and_another_price_name_the_requests_that_they_change(meter):
    meter.now = AFTER
    prices = {"input_tokens": Price(1_000_000), "output_tokens": Price(2_000_000), "cache_read_tokens": Price(100_000)}
    higher = {kind: Price(price.pico * 13 // 10 + 7_000) for kind, price in prices.items()}
    meter.record_prices(
        price_table(rate(prices=prices), source="cache", effective_from=instant("2026-06-01T00:00:00Z")),
        price_table(rate(prices=higher), source="higher", effective_from=instant("2026-12-01T00:00:00Z")),
    )
    cached = Quantities(input_tokens=1_000, cache_read_tokens=50, output_tokens=10)
    meter.ingest(request(1, quantities=cached), request(2, quantities=tokens(2)))
    ours = 1_000_000 + 5_000 + 20_000 + charge(2)

    report = reconciled(meter, [DAY | {"amount_nano_usd": ours + 45_000}])
    assert steps(report) == {"quantity": 45_000}
    assert contributing(meter, only(report)) == [("r01", 45_000, "quantity:cached_as_input")]

    first = 1_000 * 1_307 + 50 * 137 + 10 * 2_607 - 1_025_000
    second = 1_074 * 1_307 + 12 * 2_607 - charge(2)
    report = reconciled(meter, [DAY | {"amount_nano_usd": ours + first + second}])
    assert steps(report) == {"price": first + second}
    assert [(name, amount) for name, amount, _ in contributing(meter, only(report))] == [("r01", first), ("r02", second)]


def test_a_constant_factor_is_named_with_the_requests_it_applies_to(twenty):
    report = reconciled(twenty, [{"provider": "together", "amount_nano_usd": -(-OURS * 105 // 100)}])
    assert (only(report).cause, only(report).detail, only(report).basis) == ("markup", "x 1.05", "inferred")
    assert [name for name, _, _ in contributing(twenty, only(report))] == [f"r{number:02}" for number in BILLED]
    assert sum(amount for _, amount, _ in contributing(twenty, only(report))) == pytest.approx(only(report).amount_nano, abs=20)


def test_of_an_unexplained_variance_every_explanation_that_fits_is_shown_with_its_requests(meter):
    meter.now = AFTER
    meter.ingest(
        request(1, quantities=tokens(1)),
        request(2, quantities=tokens(70), status=500),
        request(3, quantities=tokens(70), route="provider_key"),
    )
    report = reconciled(meter, [DAY | {"amount_nano_usd": charge(1) + charge(70)}])
    assert steps(report) == {"unexplained": charge(70)}
    assert contributing(meter, only(report)) == [
        ("r03", charge(70), "other_route_billed"),
        ("r02", charge(70), "failed_billed"),
    ]


def test_a_run_shows_only_requests_that_arrived_before_it(twenty):
    report = reconciled(twenty, [DAY | {"amount_nano_usd": OURS + charge(3) + charge(4)}])
    twenty.now = AFTER + HOUR
    twenty.ingest(request(80, status=500, quantities=tokens(80)))
    assert [name for name, _, _ in contributing(twenty, only(report))] == ["r03", "r04"]


def test_a_run_does_not_show_requests_assigned_to_the_account_later(twenty):
    twenty.ingest(request(90, account="stranger", status=500, quantities=tokens(90)))
    report = reconciled(twenty, [DAY | {"amount_nano_usd": OURS + charge(3) + charge(4)}])
    twenty.now = AFTER + HOUR
    assert assign(twenty).total.events == 1
    assert [name for name, _, _ in contributing(twenty, only(report))] == ["r03", "r04"]
    again = reconciled(twenty, [DAY | {"amount_nano_usd": OURS + charge(3) + charge(4) + charge(90)}], now=AFTER + 2 * HOUR)
    assert [name for name, _, _ in contributing(twenty, only(again))] == ["r03", "r04", "r90"]


def test_an_explained_variance_shows_the_first_requests_and_their_number(twenty):
    report = reconciled(twenty, [{"provider": "together", "amount_nano_usd": -(-OURS * 105 // 100)}])
    found = explain_variance(twenty.engine, only(report).id, limit=2)
    assert [each.event_id for each in found.requests] == ["r00", "r01"]
    assert found.requests_in_all == len(BILLED)


def test_the_evidence_csv_lists_the_line_and_then_every_request(twenty):
    report = reconciled(twenty, [DAY | {"amount_nano_usd": OURS + charge(3) + charge(4)}])
    number = only(report).id
    text = b"".join(evidence_csv(export_all_evidence(twenty.engine, number))).decode()
    rows = list(csv.DictReader(text.splitlines()))
    names = ("row", "day", "event_id", "invoice_line", "difference_nano_usd", "explains_nano_usd")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("difference", "2026-11-10", "", "2", str(charge(3) + charge(4)), ""),
        ("request", "", "r03", "", "", str(charge(3))),
        ("request", "", "r04", "", "", str(charge(4))),
    ]


def test_a_variance_of_a_session_names_it_and_its_requests(meter):
    meter.now = AFTER
    meter.ingest(
        *(request(number, project="search", quantities=tokens(number)) for number in range(3)),
        *(request(number, project="chat", quantities=tokens(number)) for number in range(3, 6)),
    )
    sessions = [
        {"session": "search", "amount_nano_usd": sum(map(charge, range(3))) + 7_777_777},
        {"session": "notes", "amount_nano_usd": 5_000},
    ]
    report = reconciled(meter, sessions)
    assert {(each.cause, each.session, each.amount_nano) for each in report.variances} == {
        ("unexplained", "search", 7_777_777),
        ("missing_here", "notes", 5_000),
        ("missing_there", "chat", -sum(map(charge, range(3, 6)))),
    }
    missing = next(each for each in report.variances if each.session == "chat")
    assert [name for name, _, _ in contributing(meter, missing)] == ["r03", "r04", "r05"]


def test_a_pasted_total_names_the_fee_exactly_and_its_rounding_separately(meter):
    meter.now = AFTER
    meter.ingest(*(request(number, quantities=Quantities(input_tokens=900_000, output_tokens=7)) for number in range(30)))
    ours = 30 * (900_000_000 + 14_000)
    set_plan(meter.engine, "acme", PlanChange(date_of(START // (24 * HOUR)), "pro"), bundled_plans(), now=AFTER)
    report = reconciled(meter, b"$34.00")
    assert steps(report) == {"credits": -2_000_000_000, "fee": 9_000_000_000, "rounding": 34 * 10**9 - ours - 7 * 10**9}


def test_a_session_is_compared_with_the_tag_session_where_that_is_declared_and_else_with_the_project(meter):
    meter.now = AFTER
    meter.configure(declared_tags=frozenset({"session", "team"}))
    meter.ingest(
        *(request(number, project="search", tags={"session": "s-1"}, quantities=tokens(number)) for number in range(3)),
        *(request(number, project="search", tags={"team": "a"}, quantities=tokens(number)) for number in range(3, 6)),
    )
    sessions = [
        {"session": "s-1", "amount_nano_usd": sum(map(charge, range(3))) + 7_777_777},
        {"session": "search", "amount_nano_usd": sum(map(charge, range(3, 6)))},
    ]
    report = reconciled(meter, sessions)
    assert [(each.cause, each.session, each.amount_nano) for each in report.variances] == [("unexplained", "s-1", 7_777_777)]
