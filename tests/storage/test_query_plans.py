"""No hot query reads the whole event log: an index of PostgreSQL leads to each, in the partitions of its months alone."""

import pytest
from builders import DAY, HOUR, NOON, instant, usage_event
from sqlalchemy import event as listen_to

from metering.domain.spend import Granularity
from metering.operations.list_events import list_events
from metering.operations.show_statement import show_statement
from metering.storage.database import reading, writing
from metering.storage.event_log import EventPosition, EventQuery
from metering.storage.event_rows import event_rows, events_by_id
from metering.storage.partitions import create_partitions
from pricing.bundled import bundled_plans

pytestmark = pytest.mark.only_on("postgresql")

EVENTS = 60_000
ACCOUNTS = 20
OCTOBER, NOVEMBER, DECEMBER = (instant(f"2026-{month}-01T00:00:00Z") for month in (10, 11, 12))
# Sixty thousand events over 91 days and three partitions, a response id and an identity each; two of three of one account.
_FILL = f"""
INSERT INTO events (id, account_id, series_id, source_id, external_id, event_time, status, quantity_grade, input_tokens,
    cache_read_tokens, output_tokens, reasoning_tokens, charge_nano, rate_id, price_grade, billing_month)
SELECT 1000000 + n, CASE WHEN mod(n, 3) < 2 THEN 2 ELSE 3 + mod(n, {ACCOUNTS}) END, 1, 1, 'r' || n,
    {instant("2026-09-01T00:00:00Z")} + n * {91 * DAY // EVENTS}, 200, 0, 1, 0, 1, 0, 3000, 1, 0, 202611
FROM generate_series(0, CAST({EVENTS - 1} AS bigint)) AS n;
INSERT INTO event_identities SELECT CAST(md5(n::text) AS uuid), 1000000 + n, n
FROM generate_series(0, CAST({EVENTS - 1} AS bigint)) AS n;
INSERT INTO event_claims SELECT n, 1000000 + n FROM generate_series(0, CAST({EVENTS - 1} AS bigint)) AS n;
"""


@pytest.fixture
def filled(meter):
    """A log that is large enough for reading all of it to be the worse plan."""
    meter.ingest(usage_event())
    with writing(meter.engine) as connection:
        create_partitions(connection, [202609, 202610, 202611])
        for number in range(ACCOUNTS):
            connection.exec_driver_sql(f"INSERT INTO accounts (id, created_at) VALUES ({3 + number}, 0)")
        for statement in _FILL.strip().split(";\n"):
            connection.exec_driver_sql(statement.removesuffix(";"))
    with meter.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    return meter


@pytest.fixture
def plans(filled):
    """A function that does something, and returns the plan of each statement about events that it ran."""

    def explain(work):
        asked = []

        def hear(_connection, _cursor, statement, parameters, _context, _many):
            asked.append((statement, parameters))

        listen_to.listen(filled.engine, "before_cursor_execute", hear)
        work()
        listen_to.remove(filled.engine, "before_cursor_execute", hear)
        with writing(filled.engine) as connection:
            for table in ("wanted_identities", "wanted_claims"):
                for statement, _ in asked:
                    if f"EXISTS {table}" in statement:
                        connection.exec_driver_sql(statement)
            return [
                "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
                for statement, parameters in asked
                if "event" in statement and statement.lstrip().startswith(("SELECT", "INSERT", "DELETE"))
            ]

    return explain


def whole_log_is_read(plan):
    return any(f"Seq Scan on {table}" in plan for table in ("events", "event_identities", "event_claims"))


def test_a_plan_that_reads_the_whole_log_is_told(filled, plans):
    with reading(filled.engine) as connection:
        (plan,) = plans(lambda: connection.exec_driver_sql("SELECT count(*) FROM events WHERE status = 7"))
    assert whole_log_is_read(plan)


HOT = {
    "spend of a month, whole days": lambda meter: meter.spend(OCTOBER, NOVEMBER, account_id=2, group_by=("provider", "model")),
    "spend of a month that begins at noon": lambda meter: meter.spend(OCTOBER + DAY // 2, NOVEMBER, account_id=5),
    "spend of a day by the hour": lambda meter: meter.spend(NOON, NOON + DAY, account_id=5, granularity=Granularity.HOUR),
    "spend of all accounts in an hour": lambda meter: meter.spend(NOON, NOON + HOUR),
    "a draft statement": lambda meter: show_statement(meter.engine, "acme", 202611, bundled_plans()),
    "a page of events": lambda meter: list_events(
        meter.engine, EventQuery(2, OCTOBER, DECEMBER), after=EventPosition(NOON, 5), limit=100
    ),
    "a page of an account's failed events": lambda meter: list_events(
        meter.engine, EventQuery(5, OCTOBER, DECEMBER, {"status": (500,)}), limit=100
    ),
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
def test_an_index_leads_to_what_is_asked_for(filled, plans, work):
    found = plans(lambda: work(filled))
    assert found
    assert [plan for plan in found if whole_log_is_read(plan)] == []


def test_events_are_walked_through_and_looked_up_by_their_ids_along_an_index(filled, plans):
    with reading(filled.engine) as connection:
        walk = plans(lambda: event_rows(connection, after=1_030_000, limit=500))
        look = plans(lambda: events_by_id(connection, range(1_000_000, 1_000_200)))
    assert [plan for plan in walk + look if whole_log_is_read(plan)] == []


def test_a_question_about_an_hour_looks_at_the_partition_of_its_month_alone(filled, plans):
    (plan,) = plans(lambda: filled.spend(NOON, NOON + HOUR, account_id=5))
    assert "events_202611" in plan
    assert "events_202610" not in plan
