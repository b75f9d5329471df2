"""An account's credits through its months: plan, usage and grants put together."""

from sqlalchemy import Connection

from metering.domain.credits import MonthCredits, MonthUsage, burn_credits, months_through
from metering.domain.plan_history import PlanMonth, plan_month
from metering.storage.credits import grants_of, used_elsewhere
from metering.storage.plans import plan_changes_of
from metering.storage.usage import billable_by_month
from pricing.plans import PlanCatalogue


def credits_through(
    connection: Connection, account_id: int, month: int, catalogue: PlanCatalogue
) -> tuple[PlanMonth, MonthCredits]:
    """Return the plan and the credits of ``month``: purchased credits are what earlier months left of them."""
    usage = billable_by_month(connection, account_id)
    changes = plan_changes_of(connection, account_id)
    elsewhere = used_elsewhere(connection, account_id)
    first = min([month, *usage])
    plans = {each: plan_month(changes, each, catalogue) for each in months_through(first, month)}
    burned = burn_credits(
        [
            MonthUsage(each, usage.get(each, 0), plan.included_credit_nano or 0, elsewhere.get(each, 0))
            for each, plan in plans.items()
        ],
        grants_of(connection, account_id),
    )
    return plans[month], burned[-1]
