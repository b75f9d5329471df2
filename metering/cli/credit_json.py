"""Credits as JSON values, under the names that the HTTP API uses."""

from typing import Any

from metering.cli.amounts import money
from metering.domain.credits import CreditGrant, MonthCredits
from metering.domain.instants import format_instant, format_month
from metering.operations.grant_credits import CreditBalance


def balance_json(balance: CreditBalance) -> dict[str, Any]:
    """Return an account's credits in a month."""
    plan = balance.plan
    return {
        "account": balance.account,
        "month": format_month(balance.month.month),
        "plan": plan.plan,
        **money("included", plan.included_credit_nano),
        **money("used_elsewhere", balance.used_elsewhere_nano),
        "included_left_is_upper_bound": plan.credits_pay_elsewhere and bool(plan.included_credit_nano),
        "grants": [grant_json(grant) for grant in balance.grants],
        **month_json(balance.month),
    }


def month_json(month: MonthCredits) -> dict[str, Any]:
    """Return what credits did in a month."""
    return {
        "applied": [
            {"grant": grant_json(item.grant), **money("amount", item.amount_nano), **money("left", item.left_nano)}
            for item in month.applied
        ],
        **money("applied", month.applied_nano),
        **money("included_left", month.included_left_nano),
        **money("purchased_left", month.purchased_left_nano),
        **money("uncovered", month.uncovered_nano),
    }


def grant_json(grant: CreditGrant) -> dict[str, Any]:
    """Return a grant."""
    return {
        "reference": grant.reference,
        "kind": grant.kind,
        "scope": grant.scope,
        **money("amount", grant.amount_nano),
        **money("voided", grant.voided_nano),
        "granted_at": format_instant(grant.granted_at),
        "expires_at": None if grant.expires_at is None else format_instant(grant.expires_at),
    }
