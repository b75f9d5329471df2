"""No hot query reads the whole event log: each uses an index, on PostgreSQL only in the partitions of its months."""

import re

import pytest
from sqlalchemy import event as listen_to

from metering.domain.charges.spend import Granularity
from metering.domain.usage.logged_events import EventPosition, EventQuery
from metering.operations.charges.explain_charge import explain_charge
from metering.operations.charges.list_unpriced import list_unpriced
from metering.operations.statements.show_statement import show_statement
from metering.operations.usage.list_events import list_events
from metering.storage.engine.backend import backend_of
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.usage.event_rows import event_rows, events_by_id
from pricing.bundled import bundled_plans
from support.builders import DAY, HOUR, NOON, instant, usage_event

EVENTS = 60_000
ACCOUNTS = 20
OCTOBER, NOVEMBER, DECEMBER = (instant(f"2026-{month}-01T00:00:00Z") for month in (10, 11, 12))
LARGE = ("events", "event_identities", "event_claims", "assigned_events")
ABOUT_THE_LOG = re.compile(
    r"\b(FROM|JOIN|INTO)\s+(event\w*|assigned_events|(month_)?rollups)\b"
)  # or the sums that answer in its place
# Sixty thousand events over 91 days and three partitions, a response id and an identity each; two of three of one account.
_NUMBERS = {
    "postgresql": f"(SELECT generate_series(0, CAST({EVENTS - 1} AS bigint)) AS n) AS numbers",
    "sqlite": "(WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted"
    f" LIMIT {EVENTS}) SELECT n FROM counted)",
}
_IDENTITY = {"postgresql": "CAST(md5(n::text) AS uuid)", "sqlite": "randomblob(16)"}
_CLAIM = {
    "postgresql": {"claim_columns": "claim", "claim": "n"},
    "sqlite": {"claim_columns": "hour, claim", "claim": "n / 27, n"},
}
_FILL = (
    f"""
INSERT INTO events (id, account_id, series_id, source_id, external_id, event_time, status, quantity_grade, input_tokens,
    cache_read_tokens, output_tokens, reasoning_tokens, charge_nano, rate_id, price_grade, billing_month, other_quantities,
    response_id, inference_id, details)
SELECT 1000000 + n, CASE WHEN n - n / 3 * 3 < 2 THEN 2 ELSE 3 + n - n / {ACCOUNTS} * {ACCOUNTS} END, 1, 1, 'r' || n,
    {instant("2026-09-01T00:00:00Z")} + n * {91 * DAY // EVENTS}, 200, 0, 1, 0, 1, 0, 3000, 1, 0, 202611, '', '', '', ''
FROM {{numbers}}""",
    "INSERT INTO event_identities (identity, event_id, fingerprint) SELECT {identity}, 1000000 + n, n FROM {numbers}",
    "INSERT INTO event_claims ({claim_columns}, event_id) SELECT {claim}, 1000000 + n FROM {numbers}",
    f"""
INSERT INTO assigned_events (event_id, account_id, event_time, counted_as, claims_identity, assigned_at)
SELECT id, 3 + id / 10 - id / 10 / {ACCOUNTS} * {ACCOUNTS}, event_time, id, 1, 0 FROM events WHERE id - id / 10 * 10 = 0""",
)


@pytest.fixture
def filled(meter):
    """A log so large that reading all of it is the worse plan."""
    meter.ingest(usage_event(id="known"), usage_event(id="unpriced", model="nobody/knows"))
    kind = meter.engine.dialect.name
    with exclusive_write(meter.engine) as connection:
        if kind == "postgresql":
            backend_of(connection).create_partitions(connection, [202609, 202610, 202611])
        for number in range(ACCOUNTS):
            connection.exec_driver_sql(f"INSERT INTO accounts (id, created_at) VALUES ({3 + number}, 0)")
        for statement in _FILL:
            connection.exec_driver_sql(statement.format(numbers=_NUMBERS[kind], identity=_IDENTITY[kind], **_CLAIM[kind]))
    if kind == "postgresql":  # as autovacuum does; SQLite is never analyzed
        with meter.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    return meter


@pytest.fixture
def plans(filled):
    """A function that runs some work and returns the plan of each of its statements about the event log."""

    def explain(work):
        asked = []

        def hear(_connection, _cursor, statement, parameters, _context, _many):
            asked.append((statement, parameters))

        listen_to.listen(filled.engine, "before_cursor_execute", hear)
        work()
        listen_to.remove(filled.engine, "before_cursor_execute", hear)
        with exclusive_write(filled.engine) as connection:
            return [
                plan_of(connection, statement, parameters)
                for statement, parameters in asked
                if ABOUT_THE_LOG.search(statement) and statement.lstrip().startswith(("SELECT", "INSERT", "DELETE", "WITH"))
            ]

    return explain


def plan_of(connection, statement, parameters):
    if connection.dialect.name == "sqlite":
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(step.detail for step in steps)
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())


def whole_log_is_read(plan):
    # SQLite scans along an index too: what it is led by is called SEARCH.
    return re.search(rf"(Seq Scan on |^SCAN )({'|'.join(LARGE)})(_\d+)?\b", plan, re.MULTILINE) is not None


def test_a_plan_that_reads_the_whole_log_is_detected(filled, plans):
    with read_snapshot(filled.engine) as connection:
        (plan,) = plans(lambda: connection.exec_driver_sql("SELECT count(*) FROM events WHERE status = 7"))
    assert whole_log_is_read(plan)


HOT = {
    "spend of a month, whole days": lambda meter: meter.spend(OCTOBER, NOVEMBER, account_id=2, group_by=("provider", "model")),
    "spend of a month that begins at noon": lambda meter: meter.spend(OCTOBER + DAY // 2, NOVEMBER, account_id=5),
    "spend of a month of all accounts": lambda meter: meter.spend(OCTOBER, NOVEMBER, group_by=("account",)),
    "spend of a month by the day": lambda meter: meter.spend(OCTOBER, NOVEMBER, account_id=2, granularity=Granularity.DAY),
    "spend of a month by the day, of all accounts": lambda meter: meter.spend(OCTOBER, NOVEMBER, granularity=Granularity.DAY),
    "spend of a quarter by the month": lambda meter: meter.spend(
        OCTOBER, DECEMBER, account_id=2, granularity=Granularity.MONTH
    ),
    "spend of a day by the hour": lambda meter: meter.spend(NOON, NOON + DAY, account_id=5, granularity=Granularity.HOUR),
    "spend of all accounts in an hour": lambda meter: meter.spend(NOON, NOON + HOUR),
    "a draft statement": lambda meter: show_statement(meter.engine, "acme", 202611, bundled_plans()),
    "a page of events": lambda meter: list_events(
        meter.engine, EventQuery(2, OCTOBER, DECEMBER), after=EventPosition(NOON, 5), limit=100
    ),
    "a page of an account's failed events": lambda meter: list_events(
        meter.engine, EventQuery(5, OCTOBER, DECEMBER, {"status": (500,)}), limit=100
    ),
    "a page of events of an account to which some were assigned": lambda meter: list_events(
        meter.engine, EventQuery(ACCOUNTS + 2, OCTOBER, DECEMBER), after=EventPosition(NOON, 5), limit=100
    ),
    "a page of the failed ones among them": lambda meter: list_events(
        meter.engine, EventQuery(ACCOUNTS + 2, OCTOBER, DECEMBER, {"status": (500,)}), limit=100
    ),
    "an event by its id": lambda meter: list_events(
        meter.engine, EventQuery(5, NOVEMBER, DECEMBER, {"id": ("r59999",)}), limit=100
    ),
    "why an event costs what it costs": lambda meter: explain_charge(meter.engine, 2, "known", "gateway"),
    "the same without its source": lambda meter: explain_charge(meter.engine, 2, "known"),
    "what is unpriced": lambda meter: list_unpriced(meter.engine),
    "a batch of new events": lambda meter: meter.ingest(
        *(usage_event(response_id=f"response-{number:010d}") for number in range(100))
    ),
    "a batch of events that were sent before": lambda meter: [
        meter.ingest(*(usage_event(id=f"again-{number}", response_id=f"response-{number:010d}") for number in range(100)))
        for _ in range(2)
    ],
    "copies of events": lambda meter: [
        meter.ingest(*(usage_event(source=source, response_id=f"response-{number:010d}") for number in range(50)))
        for source in ("gateway", "tracer")
    ],
}


@pytest.mark.parametrize("work", HOT.values(), ids=HOT)
def test_every_hot_query_uses_an_index(filled, plans, work):
    found = plans(lambda: work(filled))
    assert found
    assert [plan for plan in found if whole_log_is_read(plan)] == []


def test_events_are_scanned_and_looked_up_by_id_with_an_index(filled, plans):
    with read_snapshot(filled.engine) as connection:
        walk = plans(lambda: event_rows(connection, after=1_030_000, limit=500))
        look = plans(lambda: events_by_id(connection, range(1_000_000, 1_000_200)))
    assert [plan for plan in walk + look if whole_log_is_read(plan)] == []


@pytest.mark.only_on("postgresql")
def test_a_query_for_an_hour_reads_only_its_months_partition(filled, plans):
    (plan,) = plans(lambda: filled.spend(NOON, NOON + HOUR, account_id=5))
    assert "events_202611" in plan
    assert "events_202610" not in plan
