"""Writing what a look at charges found: of each event a reversal and a replacement, and what that moves in the rollups.

A reversal takes back exactly the entry that holds. Both are billed in the month of that entry, or, when that is closed, in the
first open one.
"""

from typing import Any

from msgspec.structs import astuple
from sqlalchemy import Connection

from metering.domain.statements.billing_months import billing_month_of
from metering.domain.usage.events import PriceGrade
from metering.operations.charges.inspect_charges import Change, ChangeKey, ExaminedChunk
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.roll_up import RollupDeltas
from metering.storage.charges.corrections import insert_corrections
from metering.storage.statements.closed_months import closed_through_by_series

_RATED = int(PriceGrade.RATED)


def write_corrections(connection: Connection, looked: ExaminedChunk, *, run_id: int, reason: str, now: int) -> None:
    """Append the charges and add to the rollups, within a write transaction."""
    values: list[Any] = []
    deltas = RollupDeltas()
    closed_through = closed_through_by_series(connection, {key.series_id for key in looked.changes})
    for key, changes in sorted(looked.changes.items()):
        month = billing_month_of(key.billing_month, closed_through.get(key.series_id))
        rate_id, series_id, grade, new_rate_id = key.rate_id or None, key.series_id, key.price_grade, key.new_rate_id
        for event_id, before, after, *_ in changes:
            values += (event_id, series_id, before, rate_id, grade, month, after, new_rate_id)
        _roll_up(deltas, looked, key, changes, month)
    insert_corrections(connection, values, reason=reason, now=now, run_id=run_id)
    add_to_sums(connection, deltas)


def _roll_up(deltas: RollupDeltas, looked: ExaminedChunk, key: ChangeKey, changes: list[Change], month: int) -> None:
    _, before, after, *used = (sum(column) for column in zip(*changes, strict=True))
    where = key.quantity_grade, key.billable, key.event_day, month
    back = (key.series_id, key.rate_id, key.price_grade, *where)
    placed = (key.series_id, key.new_rate_id, _RATED, *where)
    deltas.common[back].append((-len(changes), *(-amount for amount in used), -before))
    deltas.common[placed].append((len(changes), *used, after))
    for quantities in looked.whole.get(key, ()):
        amounts = astuple(quantities)
        deltas.others[back].append(tuple(-amount for amount in amounts))
        deltas.others[placed].append(amounts)
