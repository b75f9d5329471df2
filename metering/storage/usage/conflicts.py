"""Conflicting records and the decisions about them."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select

from metering.storage.tables import conflict_decisions, event_conflicts, sources


class StoredConflict(NamedTuple):
    """A conflicting record with the decision about it; ``decision`` is None while it is open."""

    id: int
    event_id: int
    account_id: int
    source_id: int
    source: str
    external_id: str
    fingerprint: int
    received_at: int
    content: str
    decision: str | None
    reason: str | None
    recorded_by: str | None
    recorded_at: int | None


def conflicts_after(
    connection: Connection, *, after: int, limit: int | None, account_id: int | None, with_decided: bool
) -> list[StoredConflict]:
    """Return the conflicts of an account, or of all (None), after the ID ``after``, oldest first."""
    statement = _select().where(event_conflicts.c.id > after).order_by(event_conflicts.c.id).limit(limit)
    if account_id is not None:
        statement = statement.where(event_conflicts.c.account_id == account_id)
    if not with_decided:
        statement = statement.where(conflict_decisions.c.conflict_id.is_(None))
    return [StoredConflict(*row) for row in connection.execute(statement)]


def conflict_with_id(connection: Connection, conflict_id: int) -> StoredConflict | None:
    """Return a conflict; None if there is none with the ID."""
    row = connection.execute(_select().where(event_conflicts.c.id == conflict_id)).one_or_none()
    return None if row is None else StoredConflict(*row)


def count_open_conflicts(connection: Connection, account_id: int | None = None) -> int:
    """Return the number of conflicts without a decision."""
    decided = select(conflict_decisions.c.conflict_id)
    statement = select(func.count()).select_from(event_conflicts).where(event_conflicts.c.id.not_in(decided))
    if account_id is not None:
        statement = statement.where(event_conflicts.c.account_id == account_id)
    return int(connection.execute(statement).scalar_one())


def insert_decision(
    connection: Connection, conflict_id: int, decision: str, *, reason: str, recorded_by: str, now: int
) -> None:
    """Record a decision. The primary key makes a second decision about a conflict fail."""
    connection.execute(
        insert(conflict_decisions).values(
            conflict_id=conflict_id, decision=decision, reason=reason, recorded_by=recorded_by, recorded_at=now
        )
    )


def _select() -> Select[Any]:
    columns = [event_conflicts.c[name] for name in ("id", "event_id", "account_id", "source_id")]
    rest = [event_conflicts.c[name] for name in ("external_id", "fingerprint", "received_at", "content")]
    decision = [conflict_decisions.c[name] for name in ("decision", "reason", "recorded_by", "recorded_at")]
    return (
        select(*columns, sources.c.name, *rest, *decision)
        .join_from(event_conflicts, sources, sources.c.id == event_conflicts.c.source_id)
        .join(conflict_decisions, conflict_decisions.c.conflict_id == event_conflicts.c.id, isouter=True)
    )
