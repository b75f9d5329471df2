"""List alerts, newest first."""

from sqlalchemy import Engine

from metering.domain.alerts.alerts import Alert
from metering.storage.alerts.alerts import list_alerts as stored_alerts
from metering.storage.engine.database import read_snapshot


def list_alerts(
    engine: Engine, *, type_: str | None = None, account_id: int | None = None, before: int | None = None, limit: int
) -> list[Alert]:
    """Return alerts with ids below ``before``, of one type and one account; None: no filter."""
    with read_snapshot(engine) as connection:
        return stored_alerts(connection, type_=type_, account_id=account_id, before=before, limit=limit)
