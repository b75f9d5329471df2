"""Undo a run: every event that the run changed gets its charge from before back.

An event that changed again since then stays as it is, and is counted as kept.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from metering.domain.charges.corrections import CorrectedUsage, CorrectionGroup, CorrectionRun, CorrectionSummary
from metering.domain.charges.rerating import RerateCursor
from metering.domain.instants import month_of
from metering.domain.statements.billing_months import billing_month_of
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.roll_up import RollupDeltas
from metering.storage.charges.charges import (
    ChargeEntry,
    NumberedEntry,
    entries_of_run,
    first_entry,
    insert_charges,
    numbered_entries,
)
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.charges.superseded_events import delete_withdrawn, withdrawn_by
from metering.storage.statements.closed_months import closed_through_by_series
from metering.storage.usage.event_rows import events_by_id
from metering.storage.usage.series import series_by_id


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
    rows = {row.id: row for row in events_by_id(connection, event_ids)}
    later = numbered_entries(connection, event_ids)
    withdrawn = withdrawn_by(connection, undone, event_ids)
    series_ids = {each.entry.series_id for entries in later.values() for each in entries} | {r.series_id for r in rows.values()}
    series = series_by_id(connection, series_ids)
    closed_through = closed_through_by_series(connection, series_ids)
    summary = CorrectionSummary()
    deltas = RollupDeltas()
    written: list[ChargeEntry] = []
    restored: list[int] = []
    for each in reversals:
        event_id = each.entry.event_id
        row = rows.get(event_id)
        entries = [] if row is None else _back(row, later[event_id], each, is_withdrawn=event_id in withdrawn)
        if row is None or not entries:
            summary.kept += 1
            continue
        if event_id in withdrawn:
            restored.append(event_id)
        before_nano = -sum(entry.amount_nano for entry in entries if entry.sign < 0)
        for entry in entries:
            month = billing_month_of(entry.billing_month, closed_through.get(entry.series_id))
            entry = entry._replace(billing_month=month)  # noqa: PLW2901 - billed in an open month
            written.append(entry)
            route = series[entry.series_id].route
            deltas.add_entry(
                entry, quantities_of(row), route=route, quantity_grade=row.quantity_grade, event_time=row.event_time
            )
        last = entries[-1]
        of = series[last.series_id]
        group = CorrectionGroup(of.provider, of.model, of.route, month_of(row.event_time))
        usage = CorrectedUsage(1, before_nano, last.amount_nano, 0, +last.is_unpriced)
        summary.by_group.setdefault(group, CorrectedUsage()).include(usage)
    insert_charges(connection, written, reason=run.reason, now=now, run_id=run.id)
    delete_withdrawn(connection, restored)
    add_to_sums(connection, deltas)
    return summary, run.cursor._replace(event_id=reversals[-1].id)


def _back(row: object, later: Sequence[NumberedEntry], reversal: NumberedEntry, *, is_withdrawn: bool) -> list[ChargeEntry]:
    """Return the entries that take an event back to before the run's ``reversal``; none if it changed again since."""
    position = next(at for at, each in enumerate(later) if each.id == reversal.id)
    before = later[position - 1].entry if position else first_entry(row)
    after = [each.entry for each in later[position + 1 :]]
    if is_withdrawn:
        return [before._replace(sign=1)] if not after else []
    newest = after[-1] if after else reversal.entry
    # Later changes that were taken back leave the event as the run had left it.
    if newest.sign < 0 or newest._replace(rate_id=None, billing_month=0) != after[0]._replace(rate_id=None, billing_month=0):
        return []
    return [newest.reversed(), before._replace(billing_month=newest.billing_month)]
