"""Credits as JSON values, under the names that the HTTP API uses."""

from typing import Any

from metering.domain.amounts import money
from metering.domain.instants import format_month
from metering.exports.statement_json import credits_json, grant_json
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
        **credits_json(balance.month),
    }
