"""Alerts: raised once, and listed with the newest first."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from metering.domain.alerts.alerts import Alert
from metering.storage.engine.bulk import insert_if_new_id
from metering.storage.tables import alerts

_SUBJECTS_A_STATEMENT = 500


class NewAlert(NamedTuple):
    """An alert to be raised. ``data`` is a JSON object; ``account_id`` None: about no single account."""

    type: str
    subject: str
    occurred_at: int
    data: str
    period: str = ""
    threshold: int = 0
    account_id: int | None = None


def insert_alert(connection: Connection, alert: NewAlert, *, now: int) -> int | None:
    """Append an alert unless it was raised before; return its id, None where it is not new."""
    return insert_if_new_id(connection, alerts, {**alert._asdict(), "recorded_at": now})


def subjects_alerted(connection: Connection, type_: str, period: str) -> set[str]:
    """Return the subjects of the alerts of one type and period that were raised, at whatever threshold."""
    statement = select(alerts.c.subject).where(alerts.c.type == type_, alerts.c.period == period)
    return set(connection.execute(statement).scalars())


def raised_among(connection: Connection, type_: str, subjects: Collection[str]) -> set[tuple[str, str, int]]:
    """Return the (subject, period, threshold) of the alerts of a type that were raised about any of ``subjects``."""
    wanted = sorted(set(subjects))
    found: set[tuple[str, str, int]] = set()
    for start in range(0, len(wanted), _SUBJECTS_A_STATEMENT):
        part = wanted[start : start + _SUBJECTS_A_STATEMENT]
        statement = select(alerts.c.subject, alerts.c.period, alerts.c.threshold)
        rows = connection.execute(statement.where(alerts.c.type == type_, alerts.c.subject.in_(part)))
        found.update((row.subject, row.period, row.threshold) for row in rows)
    return found


def thresholds_raised(connection: Connection, type_: str, subject: str, period: str) -> list[int]:
    """Return the thresholds of a subject that were alerted on in a period."""
    told = (alerts.c.type == type_, alerts.c.subject == subject, alerts.c.period == period)
    return list(connection.execute(select(alerts.c.threshold).where(*told)).scalars())


def list_alerts(
    connection: Connection, *, type_: str | None, account_id: int | None, before: int | None, limit: int
) -> list[Alert]:
    """Return alerts with ids below ``before`` (None: all), newest first; of one type and one account where named."""
    statement = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
    if type_ is not None:
        statement = statement.where(alerts.c.type == type_)
    if account_id is not None:
        statement = statement.where(alerts.c.account_id == account_id)
    if before is not None:
        statement = statement.where(alerts.c.id < before)
    return [Alert(*row) for row in connection.execute(statement)]
