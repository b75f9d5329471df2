"""Retiring the events of a month: their state, removing them from the log, and the sums and claims that are kept."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, text

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.charges.ledger_sums import EventsAndAmount, LedgerSums, RollupKey
from metering.domain.charges.rerating import RunSums
from metering.domain.instants import month_of, month_start, next_month
from metering.domain.upkeep.retirements import MonthFacts, RetiredMonth
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.retention import EventMonth
from metering.storage.charges.ledger import sums_of_day
from metering.storage.charges.sums import row_of_sums
from metering.storage.engine.backend import PerBackend, backend_of
from metering.storage.engine.bulk import add_to, insert_all
from metering.storage.engine.sql import halved_sum, whole_sum
from metering.storage.tables import (
    accounts,
    month_rollups,
    retired_claims,
    retired_months,
    retired_rollups,
    retired_runs,
    series,
)
from metering.storage.usage.assigned_events import repeats_by_month
from metering.storage.usage.event_keys import Claimant

_ADD_ROLLUPS = add_to(retired_rollups, key=RollupKey._fields)
_ADD_RUNS = add_to(retired_runs, key=("run_id",))
_INSERT_MONTH = insert_all(retired_months)
_CLAIMS_PER_QUERY = 500

# The log's index starts with the account, so all accounts are named: the index is then searched by each.
_EVENTS = "SELECT id FROM events WHERE account_id IN (SELECT id FROM accounts) AND event_time >= :start AND event_time < :end"


def event_months(connection: Connection, months: Collection[int] | None = None) -> list[EventMonth]:
    """Return all months that ever had events, oldest first, or only those in ``months``."""
    by_account = (
        select(
            month_rollups.c.event_month,
            series.c.account_id,
            func.sum(month_rollups.c.events).label("events"),
            func.max(month_rollups.c.billing_month).label("billed"),
            _sum_of_grade(PriceGrade.UNPRICED).label("unpriced"),
        )
        .join_from(month_rollups, series, series.c.id == month_rollups.c.series_id)
        .group_by(month_rollups.c.event_month, series.c.account_id)
        .subquery()
    )
    assigned = by_account.c.account_id != UNASSIGNED_ID
    is_open = assigned & (func.coalesce(accounts.c.closed_through, 0) < by_account.c.billed)
    statement = (
        select(
            by_account.c.event_month,
            func.sum(by_account.c.events),
            func.sum(by_account.c.unpriced),
            func.sum(by_account.c.events).filter(~assigned),
            func.count().filter(is_open),
        )
        .join_from(by_account, accounts, accounts.c.id == by_account.c.account_id)
        .group_by(by_account.c.event_month)
        .order_by(by_account.c.event_month)
    )
    if months is not None:
        statement = statement.where(by_account.c.event_month.in_(sorted(months)))
    retired, repeats = retired_events(connection), repeats_by_month(connection)
    return [
        EventMonth(
            month, int(events) + repeats.get(month, 0), retired.get(month, 0), int(unpriced), int(unassigned or 0), still_open
        )
        for month, events, unpriced, unassigned, still_open in connection.execute(statement)
    ]


def _sum_of_grade(grade: PriceGrade) -> Any:
    return func.coalesce(func.sum(month_rollups.c.events).filter(month_rollups.c.price_grade == int(grade)), 0)


def retired_events(connection: Connection) -> dict[int, int]:
    """Return the number of retired events, by month."""
    statement = select(retired_months.c.month, func.sum(retired_months.c.events)).group_by(retired_months.c.month)
    return {month: int(events) for month, events in connection.execute(statement)}


def list_retired(connection: Connection) -> list[RetiredMonth]:
    """Return every retirement, oldest first."""
    columns = [retired_months.c[name] for name in RetiredMonth._fields]
    return [RetiredMonth(*row) for row in connection.execute(select(*columns).order_by(retired_months.c.id))]


def retired_between(connection: Connection, start: int, end: int) -> list[int]:
    """Return the retired months that overlap ``[start, end)`` (microseconds UTC), oldest first."""
    months = sorted(retired_events(connection))
    return [month for month in months if month_start(month) < end and start < month_start(next_month(month))]


def identities_of_retired(connection: Connection) -> int:
    """Return the number of identities of retired events and copies."""
    statement = select(func.coalesce(func.sum(retired_months.c.events + retired_months.c.copies), 0))
    return int(connection.execute(statement).scalar_one())


def retired_sums(connection: Connection, day: int) -> dict[RollupKey, LedgerSums]:
    """Return the sums of a day's retired events, by rollup key."""
    return sums_of_day(connection, retired_rollups, day)


def retired_days(connection: Connection) -> list[int]:
    """Return the days (since 1970) of which events were retired."""
    return list(connection.execute(select(retired_rollups.c.event_day).distinct()).scalars())


def retired_sums_by_account(connection: Connection, first_day: int, end_day: int) -> dict[int, EventsAndAmount]:
    """Return the sums of the retired events in ``[first_day, end_day)``, by account ID."""
    statement = (
        select(series.c.account_id, func.sum(retired_rollups.c.events), *halved_sum(retired_rollups.c.amount_nano))
        .join_from(retired_rollups, series, series.c.id == retired_rollups.c.series_id)
        .where(retired_rollups.c.event_day >= first_day, retired_rollups.c.event_day < end_day)
        .group_by(series.c.account_id)
    )
    return {
        account_id: EventsAndAmount(int(count), whole_sum(high, low))
        for account_id, count, high, low in connection.execute(statement)
    }


def retired_sums_by_run(connection: Connection) -> dict[int, RunSums]:
    """Return the sums of each re-rating over events that have been retired."""
    return {run_id: RunSums(*map(int, sums)) for run_id, *sums in connection.execute(select(*retired_runs.columns))}


def month_facts(connection: Connection, month: int) -> MonthFacts:
    """Count a month's events, copies and charges."""
    events, last_event = _count_and_last(connection, f"({_EVENTS}) AS found", month)
    copies, last_copy = _count_and_last(connection, f"event_copies WHERE copy_of IN ({_EVENTS})", month)
    charges, last_charge = _count_and_last(connection, f"charges WHERE event_id IN ({_EVENTS})", month)
    return MonthFacts(events, copies, charges, max(last_event, last_copy), last_charge)


class _ClaimTables(NamedTuple):
    """Where claims are, and the statement that locks those of a month's events."""

    names: tuple[str, ...]
    lock: str | None


_CLAIM_TABLES = PerBackend(
    sqlite=_ClaimTables(("event_claims",), None),
    # Locked in the order of their key, as ingest locks them, before they are deleted in any order.
    postgres=_ClaimTables(
        ("event_claims", "later_claims"),
        f"SELECT 1 FROM event_claims WHERE event_id IN ({_EVENTS}) ORDER BY claim FOR UPDATE",
    ),
)


# The chain of a withdrawn event: itself, and the events that it counted in the place of.
_WITHDRAWN = """
WITH RECURSIVE withdrawn (id) AS (
    SELECT event_id FROM superseded_events WHERE superseded_by IS NULL
    UNION SELECT earlier.event_id FROM superseded_events AS earlier JOIN withdrawn ON earlier.superseded_by = withdrawn.id
)
SELECT id FROM withdrawn
"""


def move_claims_to_retired(connection: Connection, month: int) -> None:
    """Move the claims of a month's events to the retired claims. Waits for transactions that are using one of them.

    Those of events that were withdrawn, and are counted as no other event, are dropped.
    """
    tables = _CLAIM_TABLES.of(connection)
    if tables.lock is not None:
        _run(connection, tables.lock, month)
    for name in tables.names:
        _run(
            connection,
            "INSERT INTO retired_claims (claim, event_id, account_id, source_id, event_time)"
            f" SELECT {name}.claim, events.id, coalesce(assigned.account_id, events.account_id), events.source_id,"
            f" events.event_time"
            f" FROM {name} JOIN events ON events.id = {name}.event_id"
            " LEFT JOIN assigned_events AS assigned ON assigned.event_id = events.id"
            f" WHERE {name}.event_id IN ({_EVENTS}) AND events.event_time >= :start AND events.event_time < :end"
            " AND coalesce(assigned.counted_as, events.id) = events.id"
            f" AND events.id NOT IN ({_WITHDRAWN})",
            month,
        )
        _run(connection, f"DELETE FROM {name} WHERE event_id IN ({_EVENTS})", month)


def retired_claimants(connection: Connection, claims: Collection[int], start: int, end: int) -> dict[int, list[Claimant]]:
    """Return the retired events in ``[start, end]`` that made any of the claims, by claim."""
    claimants: dict[int, list[Claimant]] = {}
    if not retired_between(connection, start, end + 1):
        return claimants
    sorted_claims = sorted(set(claims))
    columns = [retired_claims.c[name] for name in ("claim", *Claimant._fields)]
    for first in range(0, len(sorted_claims), _CLAIMS_PER_QUERY):
        part = sorted_claims[first : first + _CLAIMS_PER_QUERY]
        statement = select(*columns).where(retired_claims.c.claim.in_(part), retired_claims.c.event_time.between(start, end))
        for claim, *claimant in connection.execute(statement.order_by(retired_claims.c.claim, retired_claims.c.event_id)):
            claimants.setdefault(claim, []).append(Claimant(*claimant))
    return claimants


def insert_retired_copies(connection: Connection, copies: Sequence[tuple[int, int]], now: int) -> None:
    """Record copies (ID, event time) of retired events. They are retired on arrival, because their originals are gone."""
    by_month: dict[int, list[int]] = {}
    for copy_id, event_time in copies:
        by_month.setdefault(month_of(event_time), []).append(copy_id)
    rows = [(None, *RetiredMonth(month, 0, len(ids), 0, max(ids), "", "", now)) for month, ids in sorted(by_month.items())]
    _INSERT_MONTH.run(connection, rows)


def lock_month(connection: Connection, month: int) -> None:
    """Prevent other transactions from adding or reading events of a month until this one ends."""
    backend_of(connection).lock_partition(connection, month)


def store_retired_sums(
    connection: Connection, sums: Mapping[RollupKey, LedgerSums], runs: Mapping[int, RunSums], retired: RetiredMonth
) -> None:
    """Store the sums of retired events, the sums of each re-rating run, and the retirement itself."""
    _ADD_ROLLUPS.run(connection, [row_of_sums(key, sums[key]) for key in sorted(sums)])
    _ADD_RUNS.run(connection, [(run_id, *runs[run_id]) for run_id in sorted(runs)])
    _INSERT_MONTH.run(connection, [(None, *retired)])


def run_sums_of_month(connection: Connection, month: int) -> dict[int, RunSums]:
    """Return the sums of each re-rating run over the later charges of a month's events."""
    statement = text(
        "SELECT run_id, sum(CASE sign WHEN -1 THEN 1 ELSE 0 END), sum(CASE sign WHEN -1 THEN 0 ELSE 1 END),"
        " sum(CASE sign WHEN -1 THEN -amount_nano ELSE 0 END), sum(CASE sign WHEN -1 THEN 0 ELSE amount_nano END)"
        f" FROM charges WHERE run_id IS NOT NULL AND event_id IN ({_EVENTS}) GROUP BY run_id"
    )
    rows = connection.execute(statement, _bounds(month))
    return {run_id: RunSums(*map(int, sums)) for run_id, *sums in rows}


def delete_month(connection: Connection, month: int) -> None:
    """Remove a month's events from the log, with their copies and later charges."""
    _run(connection, f"DELETE FROM charges WHERE event_id IN ({_EVENTS})", month)
    _run(connection, f"DELETE FROM event_copies WHERE copy_of IN ({_EVENTS})", month)
    if not backend_of(connection).empty_partition(connection, month):
        _run(connection, f"DELETE FROM events WHERE id IN ({_EVENTS})", month)


def event_rows_of_month(connection: Connection, month: int, columns: str, portion: int) -> Iterator[Sequence[Row[Any]]]:
    """Yield ``columns`` of a month's events with their series, source and account, in batches of ``portion`` rows."""
    statement = text(
        f"SELECT {columns} FROM events"
        " JOIN series ON series.id = events.series_id JOIN sources ON sources.id = events.source_id"
        " LEFT JOIN account_names ON account_names.account_id = events.account_id AND account_names.valid_to IS NULL"
        " LEFT JOIN assigned_events ON assigned_events.event_id = events.id"
        " LEFT JOIN superseded_events ON superseded_events.event_id = events.id"
        " WHERE events.account_id IN (SELECT id FROM accounts) AND events.event_time >= :start AND events.event_time < :end"
    )
    yield from _portions(connection, statement, month, portion)


def rows_about_month(
    connection: Connection, month: int, columns: str, table: str, event: str, portion: int
) -> Iterator[Sequence[Row[Any]]]:
    """Yield ``columns`` of the rows of ``table`` that refer by ``event`` to one of a month's events, in batches."""
    statement = text(f"SELECT {columns} FROM {table} WHERE {event} IN ({_EVENTS}) ORDER BY id")
    yield from _portions(connection, statement, month, portion)


def _portions(connection: Connection, statement: Any, month: int, portion: int) -> Iterator[Sequence[Row[Any]]]:
    yield from connection.execute(statement.execution_options(yield_per=portion), _bounds(month)).partitions()


def _count_and_last(connection: Connection, rows: str, month: int) -> tuple[int, int]:
    """Return how many rows there are and the largest of their ids."""
    statement = text(f"SELECT count(*), coalesce(max(id), 0) FROM {rows}")
    count, last = connection.execute(statement, _bounds(month)).one()
    return count, last


def _run(connection: Connection, sql: str, month: int) -> None:
    connection.execute(text(sql), _bounds(month))


def _bounds(month: int) -> dict[str, int]:
    return {"start": month_start(month), "end": month_start(next_month(month))}
