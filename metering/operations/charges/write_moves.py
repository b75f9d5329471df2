"""Write a correction, a withdrawal or what undoes them: reversals, replacements, and the changes to the rollups.

A reversal undoes exactly the current entry. Both entries are billed in the billing month of that entry or, if it is closed, in
the first open month. A withdrawal has no replacement, and restoring has no reversal.
"""

from functools import partial

from sqlalchemy import Connection

from metering.domain.charges.ledger_sums import RollupKey
from metering.domain.statements.billing_months import billing_month_of
from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.domain.usage.charging import is_billable
from metering.domain.usage.events import FREE_GRADES
from metering.domain.usage.series import SeriesKey
from metering.operations.charges.inspect_corrections import MovedEvent, MoveKey, Moves
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.roll_up import RollupDeltas
from metering.storage.charges.charges import ChargeEntry, insert_charges
from metering.storage.charges.corrections import Move, insert_moves
from metering.storage.charges.superseded_events import SupersededEvent, insert_superseded
from metering.storage.statements.closed_months import closed_through_by_series
from metering.storage.usage.series import series_by_id

_as_move = partial(tuple.__new__, Move)


def write_moves(connection: Connection, found: Moves, *, run_id: int, reason: str, now: int) -> None:
    """Append the charges and add to the rollups, within a write transaction."""
    series_ids = {key.series_id for key in found.by_key} | {key.new_series_id for key in found.by_key}
    series = series_by_id(connection, series_ids - {0})
    closed_through = closed_through_by_series(connection, series_ids - {0})
    moves: list[Move] = []
    single: list[ChargeEntry] = []
    withdrawn: list[SupersededEvent] = []
    deltas = RollupDeltas()
    for key, moved in sorted(found.by_key.items()):
        month = billing_month_of(key.billing_month, closed_through.get(key.series_id or key.new_series_id))
        if key.series_id and key.new_series_id:
            moves += _moves(key, moved, month)
        elif key.new_series_id:
            single += [_replacement(key, each, month) for each in moved]
        else:
            account_id = series[key.series_id].account_id
            single += [_reversal(key, each, month) for each in moved]
            withdrawn += [_withdrawn(each, account_id, run_id) for each in moved]
        _roll_up(deltas, found, key, moved, month, series)
    insert_moves(connection, moves, reason=reason, now=now, run_id=run_id)
    insert_charges(connection, single, reason=reason, now=now, run_id=run_id)
    insert_superseded(connection, withdrawn, now=now)
    add_to_sums(connection, deltas)


def _moves(key: MoveKey, moved: list[MovedEvent], month: int) -> list[Move]:
    shared = Move(
        event_id=0,
        series_id=key.series_id,
        before_nano=0,
        rate_id=key.rate_id or None,
        price_grade=key.price_grade,
        billing_month=month,
        after_nano=0,
        new_rate_id=key.new_rate_id or None,
        new_price_grade=key.new_price_grade,
        new_series_id=key.new_series_id,
    )
    _, series_id, _, *current, _, rate_id, price_grade, new_series_id = shared
    # The fields of Move in order: most of the values are shared.
    return [
        _as_move((event_id, series_id, before_nano, *current, after_nano, rate_id, price_grade, new_series_id))
        for event_id, _, before_nano, after_nano, _ in moved
    ]


def _replacement(key: MoveKey, event: MovedEvent, month: int) -> ChargeEntry:
    rate_id = key.new_rate_id or None
    return ChargeEntry(event.event_id, key.new_series_id, 1, event.after_nano, rate_id, key.new_price_grade, month)


def _reversal(key: MoveKey, event: MovedEvent, month: int) -> ChargeEntry:
    return ChargeEntry(event.event_id, key.series_id, -1, -event.before_nano, key.rate_id or None, key.price_grade, month)


def _withdrawn(event: MovedEvent, account_id: int, run_id: int) -> SupersededEvent:
    return SupersededEvent(event.event_id, account_id, event.event_time, None, None, passes_identity=False, run_id=run_id)


def _roll_up(
    deltas: RollupDeltas, found: Moves, key: MoveKey, moved: list[MovedEvent], month: int, series: dict[int, SeriesKey]
) -> None:
    used = dict(zip(COLUMN_KINDS, map(sum, zip(*(each.used for each in moved), strict=True)), strict=True))
    others = found.other_kinds.get(key, ())
    if key.series_id:
        before = _rollup_key(key, series[key.series_id], key.series_id, key.rate_id, key.price_grade, month)
        taken = {kind: -amount for kind, amount in used.items()}
        deltas.add_sums(before, -len(moved), taken, -sum(each.before_nano for each in moved))
        for quantities in others:
            deltas.add_quantities(before, quantities, sign=-1)
    if key.new_series_id:
        target = series[key.new_series_id]
        after = _rollup_key(key, target, key.new_series_id, key.new_rate_id, key.new_price_grade, month)
        deltas.add_sums(after, len(moved), used, sum(each.after_nano for each in moved))
        for quantities in others:
            deltas.add_quantities(after, quantities)


def _rollup_key(key: MoveKey, series: SeriesKey, series_id: int, rate_id: int, grade: int, month: int) -> RollupKey:
    return RollupKey(
        series_id=series_id,
        rate_id=rate_id,
        price_grade=grade,
        quantity_grade=key.quantity_grade,
        billable=+(is_billable(series.route) and grade not in FREE_GRADES),
        event_day=key.event_day,
        billing_month=month,
    )
