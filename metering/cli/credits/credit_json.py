"""Credits as JSON values, under the names that the HTTP API uses."""

from typing import Any

from metering.domain.amounts import money
from metering.domain.credits.credit_summary import CreditSummary
from metering.domain.instants import format_month
from metering.exports.statement_json import credits_json, grant_json


def balance_json(balance: CreditSummary) -> dict[str, Any]:
    """Return an account's credits in a month."""
    included, lasting = balance.included, balance.lasting
    return {
        "account": balance.account,
        "month": format_month(balance.month.month),
        "plan": balance.plan.plan,
        **money("included", included.included_nano),
        **money("used_elsewhere", balance.used_elsewhere_nano),
        **money("used_elsewhere_of_included", included.elsewhere_nano),
        "included_left_is_upper_bound": included.is_upper_bound,
        **money("carried_in", lasting.carried_in_nano),
        **money("granted", lasting.granted_nano),
        **money("voided", lasting.voided_nano),
        **money("expiring", lasting.expiring_nano),
        "purchased_left_is_upper_bound": lasting.is_upper_bound,
        "grants": [grant_json(grant) for grant in balance.grants],
        **credits_json(balance.month),
    }
