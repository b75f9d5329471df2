"""Later charges (reversals and replacements), and events whose newest entry is unpriced."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, exists, func, literal_column, select

from metering.domain.usage.events import PriceGrade
from metering.storage.engine.bulk import insert_all
from metering.storage.engine.sql import fetch_rows, is_in_list, list_parameter
from metering.storage.tables import charges, events, month_rollups, series
from metering.storage.tables.schema import Int64

_UNPRICED = int(PriceGrade.UNPRICED)
_INSERT = insert_all(charges)


class ChargeEntry(NamedTuple):
    """A ledger entry of an event: its first charge, a reversal or a replacement."""

    event_id: int
    series_id: int
    sign: int
    amount_nano: int
    rate_id: int | None
    price_grade: int
    billing_month: int

    @property
    def is_unpriced(self) -> bool:
        """Whether the entry is unpriced."""
        return self.price_grade == _UNPRICED

    def reversed(self) -> "ChargeEntry":
        """Return the reversal of this entry."""
        return self._replace(sign=-self.sign, amount_nano=-self.amount_nano)


_as_entry = partial(tuple.__new__, ChargeEntry)


def insert_charges(
    connection: Connection, entries: Sequence[ChargeEntry], *, reason: str, now: int, run_id: int | None = None
) -> None:
    """Append later charges in order. Each reversal must come before its replacement."""
    _INSERT.run(connection, [(None, *entry, now, reason, run_id) for entry in entries])


def later_entries(connection: Connection, event_ids: Sequence[int]) -> dict[int, list[ChargeEntry]]:
    """Return the later charges of those events that have any, in the order they were written."""
    columns = [charges.c[name] for name in ChargeEntry._fields]
    found: dict[int, list[ChargeEntry]] = {}
    statement = select(*columns).where(charges.c.event_id.in_(event_ids)).order_by(charges.c.event_id, charges.c.id)
    for row in connection.execute(statement):
        found.setdefault(row.event_id, []).append(ChargeEntry(*row))
    return found


class NumberedEntry(NamedTuple):
    """A later charge with its ID."""

    id: int
    entry: ChargeEntry


def entries_of_run(connection: Connection, run_id: int, *, after: int, limit: int) -> list[NumberedEntry]:
    """Return the reversals that a run wrote, with IDs above ``after``, in the order they were written."""
    columns = ", ".join(("id", *ChargeEntry._fields))
    sql = f"SELECT {columns} FROM charges WHERE run_id = ? AND sign = -1 AND id > ? ORDER BY id LIMIT ?"
    return [NumberedEntry(row[0], _as_entry(row[1:])) for row in fetch_rows(connection, sql, (run_id, after, limit))]


def numbered_entries(connection: Connection, event_ids: Sequence[int]) -> dict[int, list[NumberedEntry]]:
    """Return the later charges of those events that have any, with their IDs, in the order they were written."""
    columns = ", ".join(("id", *ChargeEntry._fields))
    sql = f"SELECT {columns} FROM charges WHERE event_id {is_in_list(connection)} ORDER BY event_id, id"
    found: dict[int, list[NumberedEntry]] = {}
    for row in fetch_rows(connection, sql, (list_parameter(connection, event_ids),)):
        found.setdefault(row[1], []).append(NumberedEntry(row[0], _as_entry(row[1:])))
    return found


class LaterCharge(NamedTuple):
    """A later charge with the time (microseconds UTC) and reason of writing, and the re-rating run that wrote it, if any."""

    sign: int
    amount_nano: int
    rate_id: int | None
    price_grade: int
    billing_month: int
    recorded_at: int
    reason: str
    run_id: int | None


def later_charges(connection: Connection, event_id: int) -> list[LaterCharge]:
    """Return the later charges of an event, in the order they were written."""
    columns = [charges.c[name] for name in LaterCharge._fields]
    rows = connection.execute(select(*columns).where(charges.c.event_id == event_id).order_by(charges.c.id))
    return [LaterCharge(*row) for row in rows]


def first_entry(row: Any) -> ChargeEntry:
    """Return the first charge of an event as a ledger entry; its amount is 0 if unpriced."""
    return ChargeEntry(
        row.id, row.series_id, 1, row.charge_nano or 0, row.rate_id, row.price_grade, row.billing_month
    )  # fmt: skip


def unpriced_event_ids(connection: Connection, *, after: int, limit: int, account_id: int | None = None) -> list[int]:
    """Return the IDs above ``after`` of events whose newest entry is unpriced, in order; of an account, or of all (None).

    The account is that of the newest entry's series.
    """
    first = select(events.c.id).where(
        # A literal, not a parameter: otherwise the planner cannot use the partial index of unpriced events.
        events.c.price_grade == literal_column(str(_UNPRICED), Int64),
        events.c.id > after,
        ~exists().where(charges.c.event_id == events.c.id),
    )
    newer = charges.alias("newer")
    later = select(charges.c.event_id.label("id")).where(
        charges.c.price_grade == _UNPRICED,
        charges.c.sign == 1,
        charges.c.event_id > after,
        ~exists().where(newer.c.event_id == charges.c.event_id, newer.c.id > charges.c.id),
    )
    if account_id is not None:
        own = select(series.c.id).where(series.c.account_id == account_id)
        first, later = first.where(events.c.series_id.in_(own)), later.where(charges.c.series_id.in_(own))
    # Two statements that each use an index: a UNION would collect all unpriced events each time.
    found = set(connection.execute(first.order_by(events.c.id).limit(limit)).scalars())
    found.update(connection.execute(later.order_by(charges.c.event_id).limit(limit)).scalars())
    return sorted(found)[:limit]


def count_unpriced(connection: Connection) -> int:
    """Return the number of events whose newest entry is unpriced, from the month rollups, which are signed sums."""
    counted = select(func.coalesce(func.sum(month_rollups.c.events), 0)).where(month_rollups.c.price_grade == _UNPRICED)
    return int(connection.execute(counted).scalar_one())
