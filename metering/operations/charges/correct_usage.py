"""Correct or withdraw usage that was ingested wrong, and undo that.

A run writes in chunks. Each chunk is one transaction, which also moves the run's cursor, so an interrupted run can be resumed
or started again with the same result. Prices are those known when the run started.
"""

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.charges.corrections import (
    END_OF_TIME,
    CorrectionChanges,
    CorrectionResult,
    CorrectionRun,
    CorrectionScope,
    CorrectionSummary,
    RunKind,
)
from metering.domain.charges.rerating import RerateCursor
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.usage.events import UNKNOWN
from metering.operations.charges.inspect_corrections import CorrectionInspector, MissingSeries
from metering.operations.charges.undo_correction import undo_chunk
from metering.operations.charges.write_moves import write_moves
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.pause_collector import collector_paused
from metering.operations.steps.require_events import require_events
from metering.operations.usage.ingest import IngestSettings
from metering.storage.charges.charged_events import ChargedEvent, charged_events
from metering.storage.charges.correction_runs import (
    correction_run,
    correction_runs,
    insert_correction_run,
    update_correction_run,
)
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.engine.errors import SumTooLargeError
from metering.storage.prices.price_tables import load_tables, newest_table_id
from metering.storage.usage.events import MAX_SUM
from metering.storage.usage.series import source_ids
from pricing.book import PriceBook

CHUNK = 10_000
# Another process can move events between two attempts; one attempt is enough unless it does.
_ATTEMPTS = 5

Clock = Callable[[], int]
Progress = Callable[[CorrectionRun], None]


def preview_correction(
    engine: Engine, scope: CorrectionScope, changes: CorrectionChanges | None, settings: IngestSettings
) -> CorrectionSummary:
    """Return what a correction would change, or a withdrawal (``changes`` None).

    Raises DomainError for an invalid scope or change, NotFoundError for an unknown source, and EventsRetiredError.
    """
    _check(scope, changes)
    summary = CorrectionSummary()
    with collector_paused(), read_snapshot(engine) as connection:
        _require(connection, scope)
        inspector = CorrectionInspector(scope, changes, PriceBook(load_tables(connection)), None, settings.declared_tags)
        cursor: RerateCursor | None = _start_of(scope)
        while cursor is not None:
            events, cursor = _chunk(connection, scope, cursor)
            summary.include(inspector.inspect(connection, events).summary)
    return summary


def start_correction(
    engine: Engine, scope: CorrectionScope, changes: CorrectionChanges | None, *, reason: str, now: int
) -> CorrectionRun:
    """Record a run; ``continue_correction`` does the work. Raises as ``preview_correction`` does."""
    _check(scope, changes)
    if not reason.strip():
        raise DomainError("a correction needs a reason, which is recorded on every charge that it writes")
    kind = RunKind.WITHDRAW if changes is None else RunKind.CORRECT
    with exclusive_write(engine) as connection:
        _require(connection, scope)
        run = CorrectionRun(
            id=0,
            kind=kind,
            scope=scope,
            changes=changes or CorrectionChanges({}),
            reason=reason,
            newest_table_id=newest_table_id(connection),
            requested_at=now,
            finished_at=None,
            cursor=_start_of(scope),
        )
        return _run(connection, insert_correction_run(connection, run))


def apply_route_to_stored(
    engine: Engine, account_id: int, route: str, settings: IngestSettings, *, clock: Clock
) -> CorrectionResult:
    """Give an account's stored usage of unknown route a route, as a run. Raises DomainError for an unknown route."""
    scope, changes = CorrectionScope(account_id, where={"route": UNKNOWN}), CorrectionChanges({"route": route})
    run = start_correction(engine, scope, changes, reason=f"the account's route was set to {route}", now=clock())
    return continue_correction(engine, run.id, settings, clock=clock)


def start_undo(engine: Engine, run_id: int, *, reason: str, now: int) -> CorrectionRun:
    """Record a run that undoes another one; ``continue_correction`` does the work.

    Raises NotFoundError, and DomainError for a run that is not finished, was undone before, or undid a withdrawal.
    """
    with exclusive_write(engine) as connection:
        undone = _run(connection, run_id)
        if undone.finished_at is None:
            raise DomainError(f"run {run_id} is not finished; continue it first: metering usage runs --resume {run_id}")
        if undone.kind is RunKind.RESTORE:
            raise DomainError(f"run {run_id} restored what run {undone.undoes} withdrew; withdraw it again instead")
        for other in correction_runs(connection, undone.scope.account_id):
            if other.undoes == run_id:
                raise DomainError(f"run {run_id} was undone by run {other.id}")
        run = CorrectionRun(
            id=0,
            kind=RunKind.RESTORE if undone.kind is RunKind.WITHDRAW else RunKind.CORRECT,
            scope=undone.scope,
            changes=CorrectionChanges({}),
            reason=reason.strip() or f"undo run {run_id}",
            newest_table_id=undone.newest_table_id,
            requested_at=now,
            finished_at=None,
            cursor=RerateCursor(undone.scope.account_id, 0, 0),
            undoes=run_id,
        )
        return _run(connection, insert_correction_run(connection, run))


def show_correction(engine: Engine, run_id: int) -> CorrectionRun:
    """Return a run in its current state. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _run(connection, run_id)


def list_corrections(engine: Engine, account_id: int | None = None) -> list[CorrectionRun]:
    """Return the runs of an account, or all (None), oldest first."""
    with read_snapshot(engine) as connection:
        return correction_runs(connection, account_id)


def continue_correction(
    engine: Engine, run_id: int, settings: IngestSettings, *, clock: Clock, on_progress: Progress | None = None
) -> CorrectionResult:
    """Complete a run. A finished run is left as it is. Raises NotFoundError.

    ``on_progress`` is called with the run after each chunk is committed.
    """
    with read_snapshot(engine) as connection:
        run = _run(connection, run_id)
        tables = [table for table in load_tables(connection) if table.id <= run.newest_table_id]
    changes = None if run.kind is RunKind.WITHDRAW else run.changes
    # Not capped: each series that a run corrects becomes at most one other.
    index = SeriesIndex(engine, MAX_SUM)
    inspector = CorrectionInspector(run.scope, changes, PriceBook(tables), index, settings.declared_tags)
    done_now = CorrectionSummary()
    attempts = 0
    while run.finished_at is None:
        try:
            with collector_paused(), exclusive_write(engine) as connection:
                # Read the cursor under the write lock: another process may be continuing the same run.
                run = _run(connection, run_id)
                if run.finished_at is None:
                    run = _step(connection, inspector, run, done_now, clock())
        except MissingSeries as missing:
            attempts += 1
            if attempts == _ATTEMPTS:
                raise
            index.prepare(missing.keys)
            continue
        attempts = 0
        if on_progress is not None:
            on_progress(run)
    return CorrectionResult(run, done_now)


def _step(
    connection: Connection, inspector: CorrectionInspector, run: CorrectionRun, done_now: CorrectionSummary, now: int
) -> CorrectionRun:
    if run.undoes is not None:
        summary, cursor = undo_chunk(connection, run, run.undoes, CHUNK, now=now)
    else:
        events, cursor = _chunk(connection, run.scope, run.cursor)
        found = inspector.inspect(connection, events)
        write_moves(connection, found, run_id=run.id, reason=run.reason, now=now)
        summary = found.summary
    total = summary.total
    moved = replace(
        run,
        cursor=cursor or run.cursor,
        events_changed=run.events_changed + total.events,
        events_kept=run.events_kept + summary.kept,
        before_nano=run.before_nano + total.before_nano,
        after_nano=run.after_nano + total.after_nano,
        finished_at=now if cursor is None else None,
    )
    if max(moved.before_nano, moved.after_nano) > MAX_SUM:
        raise SumTooLargeError("the run's total would exceed 64 bits; correct a shorter period")
    update_correction_run(connection, moved)
    done_now.include(summary)
    return moved


def _check(scope: CorrectionScope, changes: CorrectionChanges | None) -> None:
    scope.check()
    if changes is not None:
        changes.check()
    elif not scope.is_limited:
        raise DomainError("name what to withdraw: a source, a period or a condition such as --where model=NAME")


def _require(connection: Connection, scope: CorrectionScope) -> None:
    """Refuse a period with retired events, and an unknown source."""
    if scope.start is not None:
        require_events(connection, scope.start, END_OF_TIME if scope.end is None else scope.end, "correcting usage")
    if scope.source is not None and scope.source not in source_ids(connection, [scope.source]):
        raise NotFoundError(f"no usage from a source {scope.source[:80]!r}")


def _chunk(
    connection: Connection, scope: CorrectionScope, cursor: RerateCursor
) -> tuple[list[ChargedEvent], RerateCursor | None]:
    """Return events after the cursor, and the cursor after them; None if there are no more."""
    source_id = None if scope.source is None else source_ids(connection, [scope.source])[scope.source]
    end = END_OF_TIME if scope.end is None else scope.end
    events = charged_events(connection, cursor, end, CHUNK, source_id=source_id)
    if len(events) == CHUNK:
        last = events[-1]
        return events, cursor._replace(event_time=last.event_time, event_id=last.event_id)
    if cursor.account_id == scope.account_id:
        return events, None
    return events, RerateCursor(scope.account_id, scope.start or 0, 0)


def _start_of(scope: CorrectionScope) -> RerateCursor:
    # Events of an account may have arrived unassigned and be logged there, so that account comes first.
    return RerateCursor(UNASSIGNED_ID, scope.start or 0, 0)


def _run(connection: Connection, run_id: int) -> CorrectionRun:
    run = correction_run(connection, run_id)
    if run is None:
        raise NotFoundError(f"no correction run {run_id}; `metering usage runs` shows all runs")
    return run
