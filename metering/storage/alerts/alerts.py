"""Alerts: inserted once, listed newest first.

An alert can occur again in its period: after a budget's amount changed, after credits were bought. Each occurrence is a row.
The stored period, which is part of the unique key, names it from the second on: ``2026-11#2``. Only this module knows that.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from metering.domain.alerts.alerts import Alert
from metering.storage.engine.bulk import insert_if_new_id
from metering.storage.tables import alerts

_SUBJECTS_PER_STATEMENT = 500


class NewAlert(NamedTuple):
    """An alert to raise. ``data`` is a JSON object; ``account_id`` None: not about a single account.

    ``occurrence`` counts from 0 how often an alert of this type, subject and threshold occurs in the period.
    """

    type: str
    subject: str
    occurred_at: int
    data: str
    period: str = ""
    threshold: int = 0
    account_id: int | None = None
    occurrence: int = 0

    @property
    def identity(self) -> "AlertIdentity":
        """What makes the alert unique."""
        return AlertIdentity(self.type, self.subject, self.period, self.threshold, self.occurrence)


class AlertIdentity(NamedTuple):
    """The unique key of an alert."""

    type: str
    subject: str
    period: str
    threshold: int
    occurrence: int


class LastAlert(NamedTuple):
    """The last occurrence of an alert in a period, when it was recorded, and its data as JSON."""

    occurrence: int
    recorded_at: int
    data: str


def insert_alert(connection: Connection, alert: NewAlert, *, now: int) -> int | None:
    """Insert an alert unless it was raised before; return its id, or None if it was."""
    row = alert._asdict()
    row["period"] = _stored_period(alert.period, row.pop("occurrence"))
    return insert_if_new_id(connection, alerts, {**row, "recorded_at": now})


def last_alerts(connection: Connection, type_: str, period: str) -> dict[str, LastAlert]:
    """Return the last occurrence of raised alerts of a type and period by subject, whatever their threshold."""
    columns = (alerts.c.subject, alerts.c.period, alerts.c.recorded_at, alerts.c.data)
    found: dict[str, LastAlert] = {}
    for row in connection.execute(select(*columns).where(alerts.c.type == type_, _is_period(period)).order_by(alerts.c.id)):
        found[row.subject] = LastAlert(_split_period(row.period)[1], row.recorded_at, row.data)
    return found


def raised_among(connection: Connection, type_: str, subjects: Collection[str]) -> set[AlertIdentity]:
    """Return the identities of raised alerts of a type about any of ``subjects``."""
    ordered = sorted(set(subjects))
    raised: set[AlertIdentity] = set()
    for start in range(0, len(ordered), _SUBJECTS_PER_STATEMENT):
        part = ordered[start : start + _SUBJECTS_PER_STATEMENT]
        statement = select(alerts.c.subject, alerts.c.period, alerts.c.threshold)
        rows = connection.execute(statement.where(alerts.c.type == type_, alerts.c.subject.in_(part)))
        for row in rows:
            period, occurrence = _split_period(row.period)
            raised.add(AlertIdentity(type_, row.subject, period, row.threshold, occurrence))
    return raised


def thresholds_raised(connection: Connection, type_: str, subject: str, period: str, occurrence: int = 0) -> list[int]:
    """Return the thresholds for which alerts were raised about a subject in a period."""
    stored = _stored_period(period, occurrence)
    raised = (alerts.c.type == type_, alerts.c.subject == subject, alerts.c.period == stored)
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
    return [_alert(row) for row in connection.execute(statement)]


def alert_with_id(connection: Connection, alert_id: int) -> Alert | None:
    """Return an alert; None if it does not exist."""
    row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).one_or_none()
    return None if row is None else _alert(row)


def _alert(row: Row[Any]) -> Alert:
    period, occurrence = _split_period(row.period)
    fields = row._asdict() | {"period": period}
    return Alert(**fields, occurrence=occurrence)


# No period contains this character.
_SEPARATOR = "#"


def _stored_period(period: str, occurrence: int) -> str:
    return f"{period}{_SEPARATOR}{occurrence + 1}" if occurrence else period


def _split_period(stored: str) -> tuple[str, int]:
    period, _, number = stored.partition(_SEPARATOR)
    return period, int(number) - 1 if number else 0


def _is_period(period: str) -> ColumnElement[bool]:
    return or_(alerts.c.period == period, alerts.c.period.startswith(period + _SEPARATOR, autoescape=True))
