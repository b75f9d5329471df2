"""Re-rate: replace charges whose price has turned out to be another, after a look at what that changes.

A new price never changes an old charge by itself. A run writes, for each event whose rate is another by now, a reversal and a
replacement that name the run. A chunk is one transaction and moves the run's cursor in it: what a kill leaves undone, resuming
the run does, and starting it anew comes to the same. Where every charge is right nothing is written.
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
from metering.storage.prices.price_tables import load_tables, newest_table_id
from metering.storage.usage.events import MAX_SUM
from pricing.book import PriceBook

CHUNK = 10_000


def preview_rerate(engine: Engine, scope: RerateScope) -> RerateSummary:
    """Return what re-rating would change, reading one state of the database.

    Raises DomainError for an empty period, EventsRetiredError for one of which events were retired.
    """
    scope.check()
    found = RerateSummary()
    with collector_paused(), read_snapshot(engine) as connection:
        require_events(connection, scope.start, scope.end, "re-rating")
        examiner = ChargeInspector(PriceBook(load_tables(connection)), scope)
        cursor: RerateCursor | None = _before(scope)
        while cursor is not None:
            events, cursor = _chunk(connection, scope, cursor)
            found.include(examiner.look(connection, events).examined)
    return found


def start_rerate(engine: Engine, scope: RerateScope, *, reason: str, now: int) -> RerateRun:
    """Record a run, with the prices that are known now; ``continue_rerate`` does it.

    Raises DomainError for an empty period and for an empty reason, EventsRetiredError as for the preview.
    """
    scope.check()
    if not reason.strip():
        raise DomainError("re-rating needs a reason: it stands on every charge that it writes")
    with exclusive_write(engine) as connection:
        require_events(connection, scope.start, scope.end, "re-rating")
        run_id = insert_run(
            connection, scope, _before(scope), reason=reason, newest_table_id=newest_table_id(connection), now=now
        )
        return _run(connection, run_id)


def show_run(engine: Engine, run_id: int) -> RerateRun:
    """Return a run as it stands. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _run(connection, run_id)


def list_runs(engine: Engine) -> list[RerateRun]:
    """Return every run, oldest first; one that was interrupted is not finished."""
    with read_snapshot(engine) as connection:
        return all_runs(connection)


def continue_rerate(
    engine: Engine, run_id: int, *, clock: Callable[[], int], on_progress: Callable[[RerateRun], None] | None = None
) -> RerateResult:
    """Do what is left of a run; of a finished one that is nothing. Raises NotFoundError.

    ``on_progress`` is told the run after each chunk that was committed.
    """
    with read_snapshot(engine) as connection:
        run = _run(connection, run_id)
        tables = [table for table in load_tables(connection) if table.id <= run.newest_table_id]
    examiner = ChargeInspector(PriceBook(tables), run.scope)
    done = RerateSummary()
    while run.finished_at is None:
        with collector_paused(), exclusive_write(engine) as connection:
            # The cursor is read under the write lock: another process may have been resuming the same run.
            run = _run(connection, run_id)
            if run.finished_at is None:
                run = _step(connection, examiner, run, done, clock())
        if on_progress is not None:
            on_progress(run)
    return RerateResult(run, done)


def _step(connection: Connection, examiner: ChargeInspector, run: RerateRun, done: RerateSummary, now: int) -> RerateRun:
    events, cursor = _chunk(connection, run.scope, run.cursor)
    looked = examiner.look(connection, events)
    write_corrections(connection, looked, run_id=run.id, reason=run.reason, now=now)
    found, total = looked.examined, looked.examined.total
    moved = replace(
        run,
        cursor=cursor or run.cursor,
        events_examined=run.events_examined + found.events,
        events_changed=run.events_changed + total.events,
        events_kept=run.events_kept + found.kept,
        before_nano=run.before_nano + total.before_nano,
        after_nano=run.after_nano + total.after_nano,
        finished_at=now if cursor is None else None,
    )
    if max(moved.before_nano, moved.after_nano) > MAX_SUM:
        raise SumTooLargeError("what the run has re-rated would leave 64 bits in all; re-rate a shorter period or one account")
    update_run(connection, moved)
    done.include(found)
    return moved


def _chunk(connection: Connection, scope: RerateScope, cursor: RerateCursor) -> tuple[list[ChargedEvent], RerateCursor | None]:
    """Return the events after the cursor, of one account, and the cursor after them; None: there are no more."""
    events = charged_events(connection, cursor, scope.end, CHUNK)
    if len(events) == CHUNK:
        last = events[-1]
        return events, cursor._replace(event_time=last.event_time, event_id=last.event_id)
    following = _account_after(connection, scope, cursor.account_id)
    return events, None if following is None else _before(scope, following)


def _before(scope: RerateScope, account_id: int = UNASSIGNED_ID) -> RerateCursor:
    # An event of an account may have arrived unassigned, and then stands in the log there: that is looked at first.
    return RerateCursor(account_id, scope.start, 0)


def _account_after(connection: Connection, scope: RerateScope, account_id: int) -> int | None:
    if scope.account_id is None:
        return next_account_id(connection, account_id)
    return scope.account_id if account_id < scope.account_id else None


def _run(connection: Connection, run_id: int) -> RerateRun:
    run = run_with_id(connection, run_id)
    if run is None:
        raise NotFoundError(f"there is no re-rating run {run_id}")
    return run
