"""Detect hours in which an account spends far more than in its recent hours, and raise one alert for each.

Each hour is summed from the event log once it is over, using the index on (account, time), and its sums are kept, so that later
hours are compared without reading the log again. One call reads at most about MOST_EVENTS events, latest hours first. Ingest
continues during the read: if usage of an hour arrives in the meantime, the hour loses its mark, its sums are discarded, and it
stays due.
"""

import json
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from metering.domain.budgets.anomalies import RECENT_HOURS, UsualSpend, is_hour_due, usual_spend
from metering.domain.instants import MICROS_PER_HOUR, format_instant
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import NewAlert
from metering.storage.charges.hour_sums import (
    accounts_with_usage,
    delete_hours_before,
    hours_summed,
    mark_hours,
    recent_hours,
    spent_in_hour,
    store_hour,
)
from metering.storage.engine.database import exclusive_write, read_snapshot
from pricing.dollars import format_nano

USAGE_ANOMALY = "usage.anomaly"
DATA_VERSION = 1
MOST_EVENTS = 200_000
MOST_HOURS = 48
# Older hours are imported history: kept for comparison, but no alert. Long enough for the second sum of a day's first hour.
ALERT_HOURS = 36


def evaluate_hours(engine: Engine, clock: Callable[[], int]) -> int:
    """Sum the hours that are due and raise alerts for the unusual ones; return the number of alerts raised."""
    now = clock()
    this_hour = now // MICROS_PER_HOUR
    with read_snapshot(engine) as connection:
        summed = hours_summed(connection, this_hour - RECENT_HOURS, this_hour)
    due = [hour for hour in range(this_hour - 1, this_hour - RECENT_HOURS - 1, -1) if is_hour_due(hour, summed.get(hour), now)]
    due = due[:MOST_HOURS]
    if not due:
        return 0
    with exclusive_write(engine) as connection:
        mark_hours(connection, due, now=now)
    with read_snapshot(engine) as connection:
        sums = _sums(connection, due)
    with exclusive_write(engine) as connection:
        delete_hours_before(connection, this_hour - 2 * RECENT_HOURS)
        stored = [hour for hour in sorted(sums) if store_hour(connection, hour, sums[hour], now=now)]
        recent = [hour for hour in stored if hour >= this_hour - ALERT_HOURS]
        return sum(_raise_anomalies(connection, hour, sums[hour], now) for hour in recent)


def _sums(connection: Connection, due: Sequence[int]) -> dict[int, dict[int, int]]:
    """Return the spend of accounts by hour, for the first of the due hours: as many as MOST_EVENTS allows."""
    sums: dict[int, dict[int, int]] = {}
    read = 0
    for hour in due:
        if read < MOST_EVENTS:
            sums[hour], events = spent_in_hour(connection, accounts_with_usage(connection, hour // 24), hour)
            read += events
    return sums


def _raise_anomalies(connection: Connection, hour: int, spent: dict[int, int], now: int) -> int:
    raised = 0
    for account_id, amount in sorted(spent.items()):
        usual = usual_spend(list(recent_hours(connection, account_id, hour - RECENT_HOURS, hour).values()))
        if usual is not None and amount > usual.most_nano:
            raised += raise_alert(connection, _anomaly_alert(connection, account_id, hour, amount, usual), now=now)
    return raised


def _anomaly_alert(connection: Connection, account_id: int, hour: int, amount_nano: int, usual: UsualSpend) -> NewAlert:
    account = account_with_id(connection, account_id)
    start, end = hour * MICROS_PER_HOUR, (hour + 1) * MICROS_PER_HOUR
    data = {
        "version": DATA_VERSION,
        "account": "" if account is None else account.name,
        "hour_start": format_instant(start),
        "hour_end": format_instant(end),
        "spent_nano_usd": amount_nano,
        "spent_usd": format_nano(amount_nano),
        "usual_median_nano_usd": usual.median_nano,
        "usual_median_usd": format_nano(usual.median_nano),
        "usual_most_nano_usd": usual.most_nano,
        "usual_most_usd": format_nano(usual.most_nano),
        "compared_hours": usual.hours,
    }
    return NewAlert(
        type=USAGE_ANOMALY,
        subject=f"account:{account_id}",
        occurred_at=end,
        data=json.dumps(data),
        period=format_instant(start)[:13],
        account_id=account_id,
    )
