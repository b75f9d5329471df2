"""Alert when an account's credits run low or are used up in the current month: once a month each, again after credits came in.

Evaluating an account burns its credits over its whole history. The caller keeps what the last evaluation saw, and only accounts
that have changed since are read again.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.credits.credits import INCLUDED, MonthCredits
from metering.domain.instants import day_of, format_month, month_of, month_start
from metering.operations.steps.raise_alert import raise_alert
from metering.operations.steps.read_books import read_books, with_usage_by_day
from metering.storage.alerts.alerts import LastAlert, NewAlert, last_alerts
from metering.storage.credits.credit_inputs import CreditInputs, CreditsReceived, credit_inputs, credits_received
from metering.storage.engine.database import exclusive_write, read_snapshot
from pricing.plans import PlanCatalog

CREDITS_LOW = "credits.low"
CREDITS_EXHAUSTED = "credits.exhausted"
DEFAULT_LOW_PERCENT = 20
RaisedAlerts = Mapping[str, Mapping[str, LastAlert]]
"""The last alert of the month by type and subject."""

_NOTHING_RAISED: RaisedAlerts = MappingProxyType({CREDITS_LOW: {}, CREDITS_EXHAUSTED: {}})
NOTHING_SEEN: Mapping[int, CreditInputs] = MappingProxyType({})


class CreditAlertPolicy(Struct, frozen=True):
    """The plan catalog, and the share of credits left that counts as low."""

    catalog: PlanCatalog
    low_percent: int = DEFAULT_LOW_PERCENT


class _CreditPosition(Struct, frozen=True):
    """The credits an account could use in a month and what is left of them, in nano-USD."""

    available_nano: int
    left_nano: int


class CreditEvaluation(Struct, frozen=True):
    """How many alerts were raised, and what the accounts' credits depended on; pass ``seen`` to the next evaluation."""

    raised: int
    seen: Mapping[int, CreditInputs]


def evaluate_credits(
    engine: Engine, policy: CreditAlertPolicy, seen: Mapping[int, CreditInputs] = NOTHING_SEEN, *, now: int
) -> CreditEvaluation:
    """Evaluate each account that has usage in the current month and has changed since it was ``seen``; raise due alerts."""
    period = format_month(month_of(now))
    with read_snapshot(engine) as connection:
        inputs = credit_inputs(connection, month_of(now), now)
        changed = [each for each, found in inputs.items() if found != seen.get(each) and each != UNASSIGNED_ID]
        raised = _raised_alerts(connection, period) if changed else _NOTHING_RAISED
        alerted = [each for each in changed if any(_subject(each) in raised[type_] for type_ in raised)]
        received = credits_received(connection, alerted, now) if alerted else {}
        new: list[NewAlert] = []
        for account_id in changed:
            last = raised[CREDITS_EXHAUSTED].get(_subject(account_id))
            since = received.get(account_id, CreditsReceived())
            # What is used up stays used up until credits come in: no need to read the account's whole history again.
            if last is None or since.changed_at > last.recorded_at:
                position = _credit_position(connection, account_id, policy.catalog, now)
                new += _due_alerts(account_id, position, policy.low_percent, raised, since.granted_at, now=now)
    if not new:
        return CreditEvaluation(0, inputs)
    with exclusive_write(engine) as connection:
        return CreditEvaluation(sum(raise_alert(connection, alert, now=now) for alert in new), inputs)


def _raised_alerts(connection: Connection, period: str) -> RaisedAlerts:
    return {type_: last_alerts(connection, type_, period) for type_ in (CREDITS_LOW, CREDITS_EXHAUSTED)}


def _due_alerts(
    account_id: int,
    position: _CreditPosition,
    low_percent: int,
    raised: RaisedAlerts,
    granted_at: int,
    *,
    now: int,
) -> list[NewAlert]:
    """Return the alerts that an account's credits call for in the current month.

    A balance that falls past the low mark to nothing calls for both. An alert that was raised before is due again if credits
    have come in since.
    """
    if not position.available_nano:
        return []
    period = format_month(month_of(now))
    data = {
        "month": period,
        "available_nano_usd": position.available_nano,
        "left_nano_usd": position.left_nano,
    }
    alert = NewAlert(CREDITS_EXHAUSTED, _subject(account_id), now, json.dumps(data), period=period, account_id=account_id)
    called_for = []
    if low_percent and position.left_nano * 100 <= position.available_nano * low_percent:
        called_for.append(alert._replace(type=CREDITS_LOW, threshold=low_percent))
    if not position.left_nano:
        called_for.append(alert)
    due = []
    for each in called_for:
        last = raised[each.type].get(each.subject)
        if last is None:
            due.append(each)
        elif granted_at > last.recorded_at or position.available_nano > json.loads(last.data)["available_nano_usd"]:
            due.append(each._replace(occurrence=last.occurrence + 1))
    return due


def _credit_position(connection: Connection, account_id: int, catalog: PlanCatalog, now: int) -> _CreditPosition:
    month = month_of(now)
    books = with_usage_by_day(connection, account_id, read_books(connection, account_id), catalog)
    first, inputs = books.burn_inputs(month, catalog)
    burned = inputs.burn(first, month)
    applied: dict[int, int] = {}
    for each in burned:
        for item in each.applied:
            if item.grant.kind != INCLUDED:
                applied[item.grant.id] = applied.get(item.grant.id, 0) + item.amount_nano
    # A day's credits can pay for that day only: those of other days are neither left nor available.
    today, paid_by_day = inputs.daily.get(day_of(now)), _paid_by_day(burned[-1])
    left_today = 0 if today is None else today.amount_nano - paid_by_day.pop(day_of(now), 0)
    left = (
        left_today
        + burned[-1].included_left_nano
        + sum(
            grant.amount_nano - grant.voided_nano - applied.get(grant.id, 0)
            for grant in inputs.grants
            # A grant that expires within the month can pay for all of the month's usage.
            if grant.granted_at <= now and (grant.expires_at is None or grant.expires_at > month_start(month))
        )
    )
    return _CreditPosition(left + burned[-1].applied_nano - sum(paid_by_day.values()), left)


def _paid_by_day(burned: MonthCredits) -> dict[int, int]:
    return {day_of(item.grant.granted_at): item.amount_nano for item in burned.applied if item.grant.is_daily}


def _subject(account_id: int) -> str:
    return f"account:{account_id}"
