"""Undo a run: every event that the run changed gets its charge from before back.

An event that is no longer as the run left it stays as it is, and is counted as kept.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection

from metering.domain.charges.corrections import CorrectionRun, CorrectionSummary
from metering.domain.charges.rerating import RerateCursor
from metering.operations.charges.inspect_corrections import Moves, add_move, sum_up
from metering.operations.charges.write_moves import write_moves
from metering.storage.charges.charged_events import ChargedEvent, CurrentCharge, charged_events_by_id
from metering.storage.charges.charges import ChargeEntry, NumberedEntry, entries_of_run, numbered_entries
from metering.storage.charges.superseded_events import delete_withdrawn, withdrawn_by
from metering.storage.usage.series import series_by_id

# Stands for the missing entry of a withdrawn event.
_NO_SERIES = 0


def undo_chunk(
    connection: Connection, run: CorrectionRun, undone: int, limit: int, *, now: int
) -> tuple[CorrectionSummary, RerateCursor | None]:
    """Undo what the run ``undone`` wrote after the cursor, whose ``event_id`` is the ID of a charge.

    Return what changed, and the next cursor; None at the end. Needs the exclusive write lock.
    """
    reversals = entries_of_run(connection, undone, after=run.cursor.event_id, limit=limit)
    if not reversals:
        return CorrectionSummary(), None
    event_ids = [each.entry.event_id for each in reversals]
    events = charged_events_by_id(connection, event_ids)
    later = numbered_entries(connection, event_ids)
    withdrawn = withdrawn_by(connection, undone, event_ids)
    found = Moves(CorrectionSummary(), defaultdict(list), defaultdict(list), {})
    restored: list[int] = []
    for each in reversals:
        event = events.get(each.entry.event_id)
        charges = None if event is None else _back(event, later[event.event_id], each, is_withdrawn=event.event_id in withdrawn)
        if event is None or charges is None:
            found.summary.kept += 1
            continue
        current, before = charges
        if current.series_id == _NO_SERIES:
            restored.append(event.event_id)
        add_move(found, event, current, before.series_id, (before.amount_nano, before.rate_id or 0, before.price_grade))
    series_ids = {series_id for key in found.by_key for series_id in (key.series_id, key.new_series_id)}
    found.series.update(series_by_id(connection, series_ids - {_NO_SERIES}))
    sum_up(found)
    write_moves(connection, found, run_id=run.id, reason=run.reason, now=now)
    delete_withdrawn(connection, restored)
    return found.summary, run.cursor._replace(event_id=reversals[-1].id)


def _back(
    event: ChargedEvent, later: Sequence[NumberedEntry], reversal: NumberedEntry, *, is_withdrawn: bool
) -> tuple[CurrentCharge, CurrentCharge] | None:
    """Return the event's current charge and that from before the run's ``reversal``; None if it is not as the run left it."""
    position = next(at for at, each in enumerate(later) if each.id == reversal.id)
    before = _charge(later[position - 1].entry) if position else _first(event)
    after = later[position + 1 :]
    if is_withdrawn:
        return None if after else (before._replace(series_id=_NO_SERIES, amount_nano=0), before)
    if not after or after[-1].entry.sign < 0:
        return None
    # Later changes that were taken back leave the event as the run had left it.
    left, newest = _charge(after[0].entry), _charge(after[-1].entry)
    if newest._replace(rate_id=left.rate_id, billing_month=left.billing_month) != left:
        return None
    return newest, before


def _charge(entry: ChargeEntry) -> CurrentCharge:
    return CurrentCharge(entry.series_id, entry.amount_nano, entry.rate_id, entry.price_grade, entry.billing_month)


def _first(event: ChargedEvent) -> CurrentCharge:
    return CurrentCharge(event.series_id, event.amount_nano, event.rate_id, event.price_grade, event.billing_month)
