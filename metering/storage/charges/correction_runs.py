"""Runs that correct or withdraw usage. They share the table of re-rating runs, because both write later charges."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from metering.domain.charges.corrections import (
    END_OF_TIME,
    CorrectionChanges,
    CorrectionRun,
    CorrectionScope,
    RunKind,
    encode_selection,
)
from metering.domain.charges.rerating import RerateCursor
from metering.storage.tables import charges, rerate_runs


def insert_correction_run(connection: Connection, run: CorrectionRun) -> int:
    """Insert a run, without its ID; return its ID."""
    scope = run.scope
    run_id: int = connection.execute(
        insert(rerate_runs)
        .values(
            kind=run.kind.value,
            account_id=scope.account_id,
            period_start=scope.start or 0,
            period_end=END_OF_TIME if scope.end is None else scope.end,
            provider=None,
            model=None,
            include_reported=0,
            selection=encode_selection(scope),
            changes=msgspec.json.encode(dict(sorted(run.changes.values.items()))).decode(),
            undoes=run.undoes,
            reason=run.reason,
            newest_table_id=run.newest_table_id,
            requested_at=run.requested_at,
            events_examined=0,
            **_progress(run),
        )
        .returning(rerate_runs.c.id)
    ).scalar_one()
    return run_id


def correction_run(connection: Connection, run_id: int) -> CorrectionRun | None:
    """Return a run; None if no correction has the ID."""
    row = connection.execute(_select().where(rerate_runs.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def correction_runs(connection: Connection, account_id: int | None = None) -> list[CorrectionRun]:
    """Return the runs of an account, or all (None), oldest first."""
    statement = _select().order_by(rerate_runs.c.id)
    if account_id is not None:
        statement = statement.where(rerate_runs.c.account_id == account_id)
    return [_run(row) for row in connection.execute(statement)]


def update_correction_run(connection: Connection, run: CorrectionRun) -> None:
    """Update the cursor and the totals of a run."""
    progress = _progress(run) | {"events_examined": run.events_changed + run.events_kept}
    connection.execute(update(rerate_runs).where(rerate_runs.c.id == run.id).values(**progress))


def restored_among(connection: Connection, event_ids: Sequence[int]) -> set[int]:
    """Return those of the events whose withdrawal was undone."""
    runs = select(rerate_runs.c.id).where(rerate_runs.c.kind == RunKind.RESTORE.value)
    run_ids = list(connection.execute(runs).scalars())
    if not run_ids:
        return set()
    statement = select(charges.c.event_id).where(charges.c.event_id.in_(event_ids), charges.c.run_id.in_(run_ids))
    return set(connection.execute(statement).scalars())


def _select() -> Any:
    return select(rerate_runs).where(rerate_runs.c.kind.in_([kind.value for kind in RunKind]))


def _progress(run: CorrectionRun) -> dict[str, int | None]:
    return {
        "cursor_account_id": run.cursor.account_id,
        "cursor_time": run.cursor.event_time,
        "cursor_event_id": run.cursor.event_id,
        "events_changed": run.events_changed,
        "events_kept": run.events_kept,
        "before_nano": run.before_nano,
        "after_nano": run.after_nano,
        "finished_at": run.finished_at,
    }


def _run(row: Row[Any]) -> CorrectionRun:
    selection = msgspec.json.decode(row.selection)
    scope = CorrectionScope(
        account_id=row.account_id,
        start=row.period_start or None,
        end=None if row.period_end == END_OF_TIME else row.period_end,
        source=selection["source"],
        where=selection["where"],
    )
    return CorrectionRun(
        id=row.id,
        kind=RunKind(row.kind),
        scope=scope,
        changes=CorrectionChanges(msgspec.json.decode(row.changes)),
        reason=row.reason,
        newest_table_id=row.newest_table_id,
        requested_at=row.requested_at,
        finished_at=row.finished_at,
        cursor=RerateCursor(row.cursor_account_id, row.cursor_time, row.cursor_event_id),
        undoes=row.undoes,
        events_changed=row.events_changed,
        events_kept=row.events_kept,
        before_nano=row.before_nano,
        after_nano=row.after_nano,
    )
