"""Raise an alert in the caller's transaction, unless it was raised before: what it is about and that it is said, or neither."""

from sqlalchemy import Connection

from metering.storage.alerts import NewAlert, insert_alert


def raise_alert(connection: Connection, alert: NewAlert, *, now: int) -> bool:
    """Raise an alert unless the same type, subject, period and threshold was raised before; return whether it is new."""
    return insert_alert(connection, alert, now=now)
