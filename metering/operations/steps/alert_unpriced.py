"""The alert about unpriced usage: one per account, provider, model and month, not one per request."""

import json
from collections.abc import Collection

from sqlalchemy import Connection

from metering.domain.instants import format_month, month_of_day
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import NewAlert
from metering.storage.budgets.budget_spend import unpriced_models

USAGE_UNPRICED = "usage.unpriced"
DATA_VERSION = 1


def unpriced_alerts(connection: Connection, account_id: int, days: Collection[int], now: int) -> list[NewAlert]:
    """Return the alerts about unpriced usage of the account in the months of ``days``, in a fixed order."""
    unpriced = unpriced_models(connection, account_id, {month_of_day(day) for day in days})
    account = account_with_id(connection, account_id)
    alerts = []
    for (month, provider, model), events in sorted(unpriced.items()):
        data = {
            "version": DATA_VERSION,
            "account": "" if account is None else account.name,
            "provider": provider,
            "model": model,
            "month": format_month(month),
            "unpriced_events": events,
        }
        alerts.append(
            NewAlert(
                type=USAGE_UNPRICED,
                subject=f"usage:{account_id}:{provider}:{model}",
                occurred_at=now,
                data=json.dumps(data),
                period=format_month(month),
                account_id=account_id,
            )
        )
    return alerts
