"""Write corrections: a reversal and a replacement for each changed charge, and the changes to the rollups.

A reversal undoes exactly the current entry. Both entries are billed in the billing month of that entry or, if it is closed, in
the first open month.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat

from sqlalchemy import Connection

from metering.domain.charges.ledger_sums import RollupKey
from metering.domain.statements.billing_months import billing_month_of
from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.domain.usage.events import PriceGrade
from metering.operations.charges.inspect_charges import ChangeColumns, ChangeKey, Inspection
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.roll_up import RollupDeltas
from metering.storage.charges.corrections import Correction, insert_corrections
from metering.storage.statements.closed_months import closed_through_by_series

_RATED = int(PriceGrade.RATED)
# Faster than the constructor, and there is one for every changed charge.
_as_correction = partial(tuple.__new__, Correction)


def write_corrections(connection: Connection, found: Inspection, *, run_id: int, reason: str, now: int) -> None:
    """Append the charges and add to the rollups, within a write transaction."""
    corrections: list[Correction] = []
    deltas = RollupDeltas()
    closed_through = closed_through_by_series(connection, {key.series_id for key in found.changes})
    for key, changes in sorted(found.changes.items()):
        month = billing_month_of(key.billing_month, closed_through.get(key.series_id))
        columns = ChangeColumns(*zip(*changes, strict=True))
        corrections += _corrections(key, columns, month)
        _roll_up(deltas, found, key, columns, month)
    insert_corrections(connection, corrections, reason=reason, now=now, run_id=run_id)
    add_to_sums(connection, deltas)


def _corrections(key: ChangeKey, changes: ChangeColumns, month: int) -> Iterator[Correction]:
    columns: dict[str, Iterable[int | None]] = {
        "event_id": changes.event_ids,
        "series_id": repeat(key.series_id),
        "before_nano": changes.before_nano,
        "rate_id": repeat(key.rate_id or None),
        "price_grade": repeat(key.price_grade),
        "billing_month": repeat(month),
        "after_nano": changes.after_nano,
        "new_rate_id": repeat(key.new_rate_id),
    }
    return map(_as_correction, zip(*(columns[name] for name in Correction._fields), strict=False))


def _roll_up(deltas: RollupDeltas, found: Inspection, key: ChangeKey, changes: ChangeColumns, month: int) -> None:
    before, after, count = sum(changes.before_nano), sum(changes.after_nano), len(changes.event_ids)
    used = dict(zip(COLUMN_KINDS, map(sum, zip(*changes.used, strict=True)), strict=True))
    reversed_key = RollupKey(
        series_id=key.series_id,
        rate_id=key.rate_id,
        price_grade=key.price_grade,
        quantity_grade=key.quantity_grade,
        billable=key.billable,
        event_day=key.event_day,
        billing_month=month,
    )
    replaced_key = reversed_key._replace(rate_id=key.new_rate_id, price_grade=_RATED)
    deltas.add_sums(reversed_key, -count, {kind: -amount for kind, amount in used.items()}, -before)
    deltas.add_sums(replaced_key, count, used, after)
    for quantities in found.other_kinds.get(key, ()):
        deltas.add_quantities(reversed_key, quantities, sign=-1)
        deltas.add_quantities(replaced_key, quantities)
