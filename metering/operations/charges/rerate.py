"""Re-rate: replace existing charges after prices were corrected.

A new price does not change existing charges by itself. For each event whose rate has changed, a run writes a reversal and a
replacement that name the run. Each chunk is one transaction, which also moves the run's cursor: an interrupted run can be
resumed, or started again with the same result. If all charges are correct, nothing is written.
"""

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.charges.rerating import RerateCursor, RerateResult, RerateRun, RerateScope, RerateSummary
from metering.domain.errors import DomainError, NotFoundError
from metering.operations.charges.inspect_charges import ChargeInspector
from metering.operations.charges.write_corrections import write_corrections
from metering.operations.steps.pause_collector import collector_paused
from metering.operations.steps.require_events import require_events
from metering.storage.accounts.accounts import next_account_id
from metering.storage.charges.charged_events import ChargedEvent, charged_events
from metering.storage.charges.rerate_runs import all_runs, insert_run, run_with_id, update_run
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.engine.errors import SumTooLargeError
from metering.storage.prices.model_aliases import own_names
from metering.storage.prices.price_books import load_book
from metering.storage.prices.price_tables import load_tables, newest_table_id
from metering.storage.usage.events import MAX_SUM
from pricing.book import PriceBook

CHUNK = 10_000


def preview_rerate(engine: Engine, scope: RerateScope) -> RerateSummary:
    """Return the changes that re-rating would make, from one snapshot of the database.

    Raises DomainError for an empty period, EventsRetiredError for a period with retired events.
    """
    scope.check()
    summary = RerateSummary()
    with collector_paused(), read_snapshot(engine) as connection:
        require_events(connection, scope.start, scope.end, "re-rating")
        inspector = ChargeInspector(load_book(connection), scope)
        cursor: RerateCursor | None = _start_of(scope)
        while cursor is not None:
            events, cursor = _chunk(connection, scope, cursor)
            summary.include(inspector.inspect(connection, events).summary)
    return summary


def start_rerate(engine: Engine, scope: RerateScope, *, reason: str, now: int) -> RerateRun:
    """Record a run that uses the prices known now; ``continue_rerate`` does the work.

    Raises DomainError for an empty period or reason, and EventsRetiredError as ``preview_rerate`` does.
    """
    scope.check()
    if not reason.strip():
        raise DomainError("re-rating needs a reason, which is recorded on every charge that it writes")
    with exclusive_write(engine) as connection:
        require_events(connection, scope.start, scope.end, "re-rating")
        run_id = insert_run(
            connection, scope, _start_of(scope), reason=reason, newest_table_id=newest_table_id(connection), now=now
        )
        return _run(connection, run_id)


def show_run(engine: Engine, run_id: int) -> RerateRun:
    """Return a run in its current state. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _run(connection, run_id)


def list_runs(engine: Engine) -> list[RerateRun]:
    """Return all runs, oldest first."""
    with read_snapshot(engine) as connection:
        return all_runs(connection)


def continue_rerate(
    engine: Engine, run_id: int, *, clock: Callable[[], int], on_progress: Callable[[RerateRun], None] | None = None
) -> RerateResult:
    """Complete a run. A finished run is left as it is. Raises NotFoundError.

    ``on_progress`` is called with the run after each chunk is committed.
    """
    with read_snapshot(engine) as connection:
        run = _run(connection, run_id)
        tables = [table for table in load_tables(connection) if table.id <= run.newest_table_id]
        names = own_names(connection, run.requested_at)
    inspector = ChargeInspector(PriceBook(tables, own_names=names), run.scope)
    done_now = RerateSummary()
    while run.finished_at is None:
        with collector_paused(), exclusive_write(engine) as connection:
            # Read the cursor under the write lock: another process may be continuing the same run.
            run = _run(connection, run_id)
            if run.finished_at is None:
                run = _step(connection, inspector, run, done_now, clock())
        if on_progress is not None:
            on_progress(run)
    return RerateResult(run, done_now)


def _step(connection: Connection, inspector: ChargeInspector, run: RerateRun, done_now: RerateSummary, now: int) -> RerateRun:
    events, cursor = _chunk(connection, run.scope, run.cursor)
    found = inspector.inspect(connection, events)
    write_corrections(connection, found, run_id=run.id, reason=run.reason, now=now)
    summary, total = found.summary, found.summary.total
    moved = replace(
        run,
        cursor=cursor or run.cursor,
        events_examined=run.events_examined + summary.examined,
        events_changed=run.events_changed + total.events,
        events_kept=run.events_kept + summary.kept,
        before_nano=run.before_nano + total.before_nano,
        after_nano=run.after_nano + total.after_nano,
        finished_at=now if cursor is None else None,
    )
    if max(moved.before_nano, moved.after_nano) > MAX_SUM:
        raise SumTooLargeError("the run's total would exceed 64 bits; re-rate a shorter period or a single account")
    update_run(connection, moved)
    done_now.include(summary)
    return moved


def _chunk(connection: Connection, scope: RerateScope, cursor: RerateCursor) -> tuple[list[ChargedEvent], RerateCursor | None]:
    """Return events of one account after the cursor, and the cursor after them; None if there are no more."""
    events = charged_events(connection, cursor, scope.end, CHUNK)
    if len(events) == CHUNK:
        last = events[-1]
        return events, cursor._replace(event_time=last.event_time, event_id=last.event_id)
    following = _account_after(connection, scope, cursor.account_id)
    return events, None if following is None else _start_of(scope, following)


def _start_of(scope: RerateScope, account_id: int = UNASSIGNED_ID) -> RerateCursor:
    # Events of an account may have arrived unassigned and be logged there, so that account comes first.
    return RerateCursor(account_id, scope.start, 0)


def _account_after(connection: Connection, scope: RerateScope, account_id: int) -> int | None:
    if scope.account_id is None:
        return next_account_id(connection, account_id)
    return scope.account_id if account_id < scope.account_id else None


def _run(connection: Connection, run_id: int) -> RerateRun:
    run = run_with_id(connection, run_id)
    if run is None:
        raise NotFoundError(f"no re-rating run {run_id}; `metering rerate --list` shows all runs")
    return run
