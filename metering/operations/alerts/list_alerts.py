"""List alerts, newest first, and show one."""

from sqlalchemy import Engine

from metering.domain.alerts.alerts import Alert
from metering.domain.errors import NotFoundError
from metering.storage.alerts.alerts import alert_with_id
from metering.storage.alerts.alerts import list_alerts as stored_alerts
from metering.storage.engine.database import read_snapshot


def list_alerts(
    engine: Engine, *, type_: str | None = None, account_id: int | None = None, before: int | None = None, limit: int
) -> list[Alert]:
    """Return alerts with ids below ``before``, of one type and one account; None: no filter."""
    with read_snapshot(engine) as connection:
        return stored_alerts(connection, type_=type_, account_id=account_id, before=before, limit=limit)


def show_alert(engine: Engine, alert_id: int, *, owner: int | None = None) -> Alert:
    """Return an alert by its id; ``owner`` is the account that the caller is bound to, None: the operator.

    Raises NotFoundError, for a bound caller also for alerts that are not about the account.
    """
    with read_snapshot(engine) as connection:
        alert = alert_with_id(connection, alert_id)
    if alert is None or owner not in (None, alert.account_id):
        raise NotFoundError(f"there is no alert {alert_id}; `metering alerts list` shows all")
    return alert
