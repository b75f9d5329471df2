"""Alerts: inserted once, listed newest first."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from metering.domain.alerts.alerts import Alert
from metering.storage.engine.bulk import insert_if_new_id
from metering.storage.tables import alerts

_SUBJECTS_PER_STATEMENT = 500


class NewAlert(NamedTuple):
    """An alert to raise. ``data`` is a JSON object; ``account_id`` None: not about a single account."""

    type: str
    subject: str
    occurred_at: int
    data: str
    period: str = ""
    threshold: int = 0
    account_id: int | None = None


def insert_alert(connection: Connection, alert: NewAlert, *, now: int) -> int | None:
    """Insert an alert unless it was raised before; return its id, or None if it was."""
    return insert_if_new_id(connection, alerts, {**alert._asdict(), "recorded_at": now})


def subjects_alerted(connection: Connection, type_: str, period: str) -> set[str]:
    """Return the subjects of raised alerts of a type and period, whatever their threshold."""
    statement = select(alerts.c.subject).where(alerts.c.type == type_, alerts.c.period == period)
    return set(connection.execute(statement).scalars())


def raised_among(connection: Connection, type_: str, subjects: Collection[str]) -> set[tuple[str, str, int]]:
    """Return the (subject, period, threshold) of raised alerts of a type about any of ``subjects``."""
    ordered = sorted(set(subjects))
    raised: set[tuple[str, str, int]] = set()
    for start in range(0, len(ordered), _SUBJECTS_PER_STATEMENT):
        part = ordered[start : start + _SUBJECTS_PER_STATEMENT]
        statement = select(alerts.c.subject, alerts.c.period, alerts.c.threshold)
        rows = connection.execute(statement.where(alerts.c.type == type_, alerts.c.subject.in_(part)))
        raised.update((row.subject, row.period, row.threshold) for row in rows)
    return raised


def thresholds_raised(connection: Connection, type_: str, subject: str, period: str) -> list[int]:
    """Return the thresholds for which alerts were raised about a subject in a period."""
    raised = (alerts.c.type == type_, alerts.c.subject == subject, alerts.c.period == period)
    return list(connection.execute(select(alerts.c.threshold).where(*raised)).scalars())


def list_alerts(
    connection: Connection, *, type_: str | None, account_id: int | None, before: int | None, limit: int
) -> list[Alert]:
    """Return alerts with ids below ``before``, newest first, of one type and one account; None: no filter."""
    statement = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
    if type_ is not None:
        statement = statement.where(alerts.c.type == type_)
    if account_id is not None:
        statement = statement.where(alerts.c.account_id == account_id)
    if before is not None:
        statement = statement.where(alerts.c.id < before)
    return [Alert(*row) for row in connection.execute(statement)]
