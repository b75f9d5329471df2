"""Re-rating runs: their state, and the sums of the charges they wrote."""

from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, insert, select, update

from metering.domain.charges.rerating import RerateCursor, RerateRun, RerateScope, RunSums
from metering.storage.tables import charges, rerate_runs


def insert_run(
    connection: Connection, scope: RerateScope, cursor: RerateCursor, *, reason: str, newest_table_id: int, now: int
) -> int:
    """Insert a run; ``cursor`` is before its first event. Return its ID."""
    run_id: int = connection.execute(
        insert(rerate_runs)
        .values(
            account_id=scope.account_id,
            period_start=scope.start,
            period_end=scope.end,
            provider=scope.provider,
            model=scope.model,
            include_reported=int(scope.include_reported),
            reason=reason,
            newest_table_id=newest_table_id,
            requested_at=now,
            **_cursor_values(cursor),
            events_examined=0,
            events_changed=0,
            events_kept=0,
            before_nano=0,
            after_nano=0,
        )
        .returning(rerate_runs.c.id)
    ).scalar_one()
    return run_id


def run_with_id(connection: Connection, run_id: int) -> RerateRun | None:
    """Return a run; None if no run has the ID."""
    row = connection.execute(_select().where(rerate_runs.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def all_runs(connection: Connection) -> list[RerateRun]:
    """Return all runs, oldest first."""
    return [_run(row) for row in connection.execute(_select().order_by(rerate_runs.c.id))]


def update_run(connection: Connection, run: RerateRun) -> None:
    """Update the cursor and the totals of a run."""
    connection.execute(
        update(rerate_runs)
        .where(rerate_runs.c.id == run.id)
        .values(
            **_cursor_values(run.cursor),
            events_examined=run.events_examined,
            events_changed=run.events_changed,
            events_kept=run.events_kept,
            before_nano=run.before_nano,
            after_nano=run.after_nano,
            finished_at=run.finished_at,
        )
    )


def sums_by_run(connection: Connection) -> dict[int, RunSums]:
    """Return the sums of the charges of each run that wrote any."""
    reversal = charges.c.sign == -1
    statement = (
        select(
            charges.c.run_id,
            func.sum(case((reversal, 1), else_=0)),
            func.sum(case((reversal, 0), else_=1)),
            func.sum(case((reversal, -charges.c.amount_nano), else_=0)),
            func.sum(case((reversal, 0), else_=charges.c.amount_nano)),
        )
        .where(charges.c.run_id.is_not(None))
        .group_by(charges.c.run_id)
    )
    return {run_id: RunSums(*map(int, sums)) for run_id, *sums in connection.execute(statement)}


def _select() -> Select[Any]:
    # Corrections of usage share the table (``correction_runs``).
    return select(rerate_runs).where(rerate_runs.c.kind == "rerate")


def _cursor_values(cursor: RerateCursor) -> dict[str, int]:
    return {"cursor_account_id": cursor.account_id, "cursor_time": cursor.event_time, "cursor_event_id": cursor.event_id}


def _run(row: Row[tuple[int, ...]]) -> RerateRun:
    return RerateRun(
        id=row.id,
        scope=RerateScope(
            row.account_id, row.period_start, row.period_end, row.provider, row.model, bool(row.include_reported)
        ),
        reason=row.reason,
        newest_table_id=row.newest_table_id,
        requested_at=row.requested_at,
        finished_at=row.finished_at,
        cursor=RerateCursor(row.cursor_account_id, row.cursor_time, row.cursor_event_id),
        events_examined=row.events_examined,
        events_changed=row.events_changed,
        events_kept=row.events_kept,
        before_nano=row.before_nano,
        after_nano=row.after_nano,
    )
