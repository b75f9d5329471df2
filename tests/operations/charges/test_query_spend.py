"""Spend queries: every group, period and filter sums the same charges."""

import pytest
from sqlalchemy import event as listen_to

from metering.domain.charges.spend import (
    DIMENSIONS,
    EARLIEST_START,
    Granularity,
    PeriodBasis,
    SpendQueryError,
    TooManyRowsError,
)
from metering.operations.charges import query_spend, sum_spend
from metering.storage.accounts.accounts import rename_account
from metering.storage.engine.database import exclusive_write
from metering.storage.tables import account_names, rates
from pricing.quantities import Quantities
from support.builders import DAY, HOUR, NOON, SECOND, instant, price_table, rate, usage_event

OCTOBER, NOVEMBER, DECEMBER = (instant(f"2026-{month}-01T00:00:00Z") for month in (10, 11, 12))
TOTAL, HOURLY, DAILY, MONTHLY = Granularity.TOTAL, Granularity.HOUR, Granularity.DAY, Granularity.MONTH


@pytest.fixture
def traffic(meter):
    """Six events over two months, two accounts and two models; 120,000 nano-USD each unless noted."""
    meter.configure(declared_tags=["team", 'odd "name"'])
    meter.declare("umbrella")
    meter.record_prices(price_table(rate(0, 500_000, model="small"), source="small"))
    meter.ingest(
        usage_event(time=NOVEMBER - 1, project="search", tags={"team": "core"}),
        usage_event(time=NOVEMBER, project="search", key="k1"),
        usage_event(time=NOON, model="small", tags={"team": "web", 'odd "name"': "x"}),  # 5,000
        usage_event(time=NOON + HOUR, status=500),  # 0
        usage_event(time=NOON + HOUR, model="mystery"),  # unpriced
        usage_event(time=NOON + 30 * DAY // 2, account="umbrella", route="provider_key", provider="together"),
    )
    return meter


def spend_by(meter, *names, **query):
    return [(*row.group, row.events, row.amount_nano) for row in meter.spend(group_by=names, **query)]


def test_granularity_total_is_one_row(traffic):
    (row,) = traffic.spend(OCTOBER, DECEMBER)
    assert (row.group, row.period_start, row.events, row.amount_nano) == ((), OCTOBER, 6, 365_000)
    assert (row.failed_events, row.unpriced_events, row.unpriced_tokens) == (1, 1, 110)
    assert row.quantities == Quantities(input_tokens=600, output_tokens=60)


def test_periods_without_usage_have_no_row(traffic):
    assert traffic.spend(0, OCTOBER) == []
    assert traffic.spend(0, OCTOBER, group_by=("model",), granularity=DAILY) == []


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("account", [("acme", 5, 245_000), ("umbrella", 1, 120_000)]),
        ("provider", [("together", 6, 365_000)]),
        ("model", [("llama", 4, 360_000), ("mystery", 1, 0), ("small", 1, 5_000)]),
        ("operation", [("chat", 6, 365_000)]),
        ("route", [("provider_key", 1, 120_000), ("routed", 5, 245_000)]),
        ("project", [("", 4, 125_000), ("search", 2, 240_000)]),
        ("key", [("", 5, 245_000), ("k1", 1, 120_000)]),
        ("price_grade", [("exempt", 1, 0), ("rated", 4, 365_000), ("unpriced", 1, 0)]),
        ("quantity_grade", [("measured", 6, 365_000)]),
        ("billable", [("false", 2, 120_000), ("true", 4, 245_000)]),
        ("tag:team", [("", 4, 240_000), ("core", 1, 120_000), ("web", 1, 5_000)]),
        ('tag:odd "name"', [("", 5, 360_000), ("x", 1, 5_000)]),
    ],
)
@pytest.mark.parametrize("granularity", [TOTAL, HOURLY])
def test_spend_is_grouped_by_any_dimension_from_rollups_and_from_events(traffic, dimension, expected, granularity):
    sums: dict[str, tuple[int, int]] = {}
    for row in traffic.spend(OCTOBER, DECEMBER, group_by=(dimension,), granularity=granularity):
        before = sums.get(row.group[0], (0, 0))
        sums[row.group[0]] = before[0] + row.events, before[1] + row.amount_nano
    assert [(name, *totals) for name, totals in sorted(sums.items())] == expected


def test_spend_is_grouped_by_rate(traffic):
    of_model = {row.model: str(row.id) for row in traffic.rows(rates.select())}
    assert spend_by(traffic, "rate") == [("", 2, 0), (of_model["llama"], 3, 360_000), (of_model["small"], 1, 5_000)]


def test_groups_have_the_order_of_group_by(traffic):
    assert spend_by(traffic, "model", "account", filters={"price_grade": ("rated",)}) == [
        ("llama", "acme", 2, 240_000),
        ("llama", "umbrella", 1, 120_000),
        ("small", "acme", 1, 5_000),
    ]


@pytest.mark.parametrize(
    ("filters", "events"),
    [
        ({"account": ("umbrella",)}, 1),
        ({"account": ("umbrella", "acme")}, 6),
        ({"account": ("nobody",)}, 0),
        ({"model": ("small", "mystery")}, 2),
        ({"model": ("small",), "project": ("search",)}, 0),
        ({"tag:team": ("core", "web")}, 2),
        ({"tag:team": ("",)}, 4),
        ({"price_grade": ("unpriced", "exempt")}, 2),
        ({"billable": ("true",)}, 4),
        ({"quantity_grade": ("estimated",)}, 0),
        ({"route": ("routed",)}, 5),
        ({"rate": ("",)}, 2),
    ],
)
def test_filters_accept_several_dimensions_and_values(traffic, filters, events):
    assert sum(row.events for row in traffic.spend(filters=filters)) == events
    assert sum(row.events for row in traffic.spend(OCTOBER, DECEMBER, filters=filters, granularity=HOURLY)) == events


def test_an_account_sees_its_own_spend_only(traffic):
    umbrella = next(row for row in traffic.rows(account_names.select()) if row.name == "umbrella")
    for granularity in (TOTAL, DAILY, MONTHLY, HOURLY):
        rows = traffic.spend(OCTOBER, DECEMBER, account_id=umbrella.account_id, granularity=granularity)
        assert [(row.events, row.amount_nano) for row in rows] == [(1, 120_000)]
    others = traffic.spend(account_id=umbrella.account_id, filters={"account": ("acme",)})
    assert others == []


def test_accounts_have_their_current_names(traffic):
    with exclusive_write(traffic.engine) as connection:
        acme = next(row for row in traffic.rows(account_names.select()) if row.name == "acme")
        rename_account(connection, acme.account_id, "zebra", since=DECEMBER)
    assert [row.group for row in traffic.spend(group_by=("account",))] == [("umbrella",), ("zebra",)]
    assert [row.events for row in traffic.spend(filters={"account": ("zebra",)})] == [5]
    assert traffic.spend(filters={"account": ("acme",)}) == []


def periods(rows):
    return [(row.period_start, row.events) for row in rows]


def test_periods_start_at_calendar_boundaries(traffic):
    midnight = NOON - DAY // 2
    assert periods(traffic.spend(OCTOBER, DECEMBER, granularity=MONTHLY)) == [(OCTOBER, 1), (NOVEMBER, 5)]
    assert periods(traffic.spend(OCTOBER, DECEMBER, granularity=DAILY)) == [
        (NOVEMBER - DAY, 1),
        (NOVEMBER, 1),
        (midnight, 3),
        (midnight + 15 * DAY, 1),
    ]
    assert periods(traffic.spend(OCTOBER, DECEMBER, granularity=HOURLY)) == [
        (NOVEMBER - HOUR, 1),
        (NOVEMBER, 1),
        (NOON, 1),
        (NOON + HOUR, 2),
        (NOON + 15 * DAY, 1),
    ]


def test_a_period_is_half_open_to_the_microsecond(traffic):
    assert periods(traffic.spend(NOVEMBER - 1, NOVEMBER)) == [(NOVEMBER - 1, 1)]
    assert periods(traffic.spend(NOVEMBER, NOVEMBER + 1)) == [(NOVEMBER, 1)]
    assert traffic.spend(NOVEMBER + 1, NOON) == []
    assert periods(traffic.spend(NOVEMBER, NOON + HOUR)) == [(NOVEMBER, 2)]


def test_partial_days_at_the_ends_are_cut_exactly(traffic):
    rows = traffic.spend(NOVEMBER - 1, NOON + 1, granularity=DAILY)
    assert periods(rows) == [(NOVEMBER - DAY, 1), (NOVEMBER, 1), (NOON - DAY // 2, 1)]
    assert periods(traffic.spend(NOVEMBER - 1, NOON + 1, granularity=MONTHLY)) == [(OCTOBER, 1), (NOVEMBER, 2)]


@pytest.mark.parametrize("cut", [NOVEMBER - 1, NOVEMBER, NOVEMBER + 1, NOON - SECOND, NOON, NOON + HOUR + 1, NOON + DAY])
@pytest.mark.parametrize("granularity", list(Granularity))
def test_two_adjacent_periods_add_up_to_the_whole(traffic, cut, granularity):
    whole = traffic.spend(OCTOBER, DECEMBER)[0]
    parts = [*traffic.spend(OCTOBER, cut, granularity=granularity), *traffic.spend(cut, DECEMBER, granularity=granularity)]
    assert sum(row.events for row in parts) == whole.events
    assert sum(row.amount_nano for row in parts) == whole.amount_nano
    assert sum(row.quantities.input_tokens for row in parts) == 600


def test_whole_days_come_from_rollups_only(traffic):
    asked = []
    listen_to.listen(traffic.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    traffic.spend(OCTOBER, DECEMBER, granularity=DAILY)
    assert not any("FROM events" in statement for statement in asked)
    traffic.spend(OCTOBER, DECEMBER - 1, granularity=DAILY)
    assert sum("FROM events" in statement for statement in asked) == 1


def test_spend_by_billing_month_is_the_spend_billed_in_it(traffic):
    rows = traffic.spend(OCTOBER, DECEMBER, granularity=MONTHLY, period_basis=PeriodBasis.BILLING)
    assert [(row.period_start, row.events, row.amount_nano) for row in rows] == [(OCTOBER, 1, 120_000), (NOVEMBER, 5, 245_000)]
    traffic.execute("UPDATE rollups SET billing_month = 202611")
    traffic.execute("UPDATE month_rollups SET billing_month = 202611")
    by_event = traffic.spend(OCTOBER, NOVEMBER)
    by_billing = traffic.spend(OCTOBER, NOVEMBER, period_basis=PeriodBasis.BILLING)
    assert (len(by_event), len(by_billing)) == (1, 0)


def test_rows_are_ordered_by_period_then_values(traffic):
    rows = traffic.spend(OCTOBER, DECEMBER, group_by=("model", "project"), granularity=MONTHLY)
    keys = [(row.period_start, row.group) for row in rows]
    assert keys == sorted(keys)
    assert len(keys) == 5


def test_too_many_rows_are_refused_with_ways_to_narrow_the_query(traffic, monkeypatch):
    monkeypatch.setattr(sum_spend, "MAX_ROWS", 3)
    with pytest.raises(TooManyRowsError, match="filter") as refused:
        traffic.spend(OCTOBER, DECEMBER, group_by=("model", "project"))
    assert refused.value.code == "too_many_rows"
    assert len(traffic.spend(group_by=("model",))) == 3


def test_few_hours_of_a_long_period_are_answered(traffic):
    """How long the period is does not matter, only how many of its hours have usage."""
    decades = EARLIEST_START, instant("2099-12-31T00:00:00Z")
    assert traffic.spend(*decades, granularity=HOURLY) == traffic.spend(OCTOBER, DECEMBER, granularity=HOURLY) != []
    assert traffic.spend(EARLIEST_START, OCTOBER, granularity=HOURLY) == []
    first = traffic.spend(*decades, granularity=HOURLY)[0].period_start
    part = traffic.spend(first + 1, first + 2, granularity=HOURLY)
    assert part == traffic.spend(first + 1, first + 2, granularity=HOURLY, group_by=()) and len(part) <= 1


def test_hours_of_too_many_days_are_refused_before_an_event_is_read(traffic, monkeypatch):
    monkeypatch.setattr(sum_spend, "MAX_ROWS", 2)
    monkeypatch.setattr(query_spend, "require_events", lambda *_: pytest.fail("events are needed"))
    with pytest.raises(TooManyRowsError):
        traffic.spend(OCTOBER, DECEMBER, granularity=HOURLY, group_by=("model", "project"))


@pytest.mark.parametrize(
    "query",
    [
        {"group_by": ("color",)},
        {"group_by": ("model", "model")},
        {"group_by": ("tag:",)},
        {"group_by": ("tag:undeclared",)},
        {"filters": {"tag:undeclared": ("x",)}},
        {"filters": {"color": ("red",)}},
        {"filters": {"model": ()}},
        {"filters": {"price_grade": ("free",)}},
        {"filters": {"billable": ("yes",)}},
        {"filters": {"route": ("direct",)}},
        {"filters": {"rate": ("1; DROP TABLE events",)}},
        {"filters": {"model": tuple(map(str, range(1_001)))}},
        {"start": NOVEMBER, "end": NOVEMBER},
        {"start": DECEMBER, "end": NOVEMBER},
        {"start": NOVEMBER, "end": NOON, "period_basis": PeriodBasis.BILLING},
        {"start": NOVEMBER + 1, "end": DECEMBER, "period_basis": PeriodBasis.BILLING},
        {"start": NOVEMBER, "end": DECEMBER, "period_basis": PeriodBasis.BILLING, "granularity": DAILY},
        {"start": NOVEMBER, "end": 10**30},
        {"start": -1, "end": NOVEMBER},
    ],
)
def test_an_invalid_query_is_refused(traffic, query):
    with pytest.raises(SpendQueryError) as refused:
        traffic.spend(**{"start": OCTOBER, "end": DECEMBER} | query)
    assert refused.value.code == "invalid_spend_query"


def test_every_dimension_can_be_grouped_by_at_once(traffic):
    names = (*DIMENSIONS, "tag:team")
    assert sum(row.events for row in traffic.spend(group_by=names)) == 6


def test_values_that_look_like_sql_or_json_are_only_values(traffic):
    hostile = "x' OR '1'='1"
    traffic.ingest(usage_event(project=hostile, tags={"team": '"],{}'}))
    assert [row.group for row in traffic.spend(group_by=("tag:team",), filters={"project": (hostile,)})] == [('"],{}',)]
    traffic.configure(declared_tags=["x') OR 1=1 --"])
    assert traffic.spend(filters={"tag:x') OR 1=1 --": ("y",)}) == []


@pytest.mark.parametrize("granularity", [TOTAL, MONTHLY, DAILY, HOURLY])
@pytest.mark.parametrize(
    ("start", "end", "counted"),
    [
        ("2026-08-01T00:00:00Z", "2026-12-01T00:00:00Z", 8),  # whole months
        ("2026-08-01T00:00:00.000001Z", "2026-11-30T23:59:59.999999Z", 6),  # a microsecond less at both ends
        ("2026-08-31T00:00:00Z", "2026-10-02T00:00:00Z", 5),  # days at both ends of a month
        ("2026-09-01T00:00:00Z", "2026-09-30T23:00:00Z", 1),  # no whole month
        ("2026-08-31T23:59:59.999999Z", "2026-09-01T00:00:00.000001Z", 2),  # across an edge
    ],
)
def test_each_event_counts_once_wherever_the_period_starts_and_ends(meter, granularity, start, end, counted):
    times = (
        "2026-08-01T00:00:00Z", "2026-08-31T23:59:59.999999Z", "2026-09-01T00:00:00Z", "2026-09-30T23:30:00Z",
        "2026-10-01T00:00:00Z", "2026-10-01T23:59:59.999999Z", "2026-11-15T12:00:00Z", "2026-11-30T23:59:59.999999Z",
    )  # fmt: skip
    meter.ingest(*(usage_event(time=instant(time)) for time in times))
    rows = meter.spend(instant(start), instant(end), granularity=granularity)
    inside = sum(instant(start) <= instant(time) < instant(end) for time in times)
    assert sum(row.events for row in rows) == inside == counted
    assert sum(row.amount_nano for row in rows) == 120_000 * counted
