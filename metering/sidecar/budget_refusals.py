"""The answers to requests that budgets do not let through."""

from metering.domain.budgets.reservations import BudgetShortfall
from metering.domain.instants import MICROS_PER_SECOND, format_instant
from metering.sidecar.refusals import Refusal
from pricing.dollars import display_nano, format_nano

# A client may wait for a reset this near.
NEAR_RESET_SECONDS = 3_600
_RETRY_UNKNOWN_SECONDS = 5


def exceeded(shortfall: BudgetShortfall, now: int) -> Refusal:
    """Return the refusal of a request that a budget has no room for."""
    budget = shortfall.budget
    spent = max(0, shortfall.spent_nano)
    details = {
        "budget": budget.title,
        "budget_id": budget.id,
        "spent_usd": format_nano(spent),
        "reserved_usd": format_nano(shortfall.reserved_nano),
        "request_usd": format_nano(shortfall.asked_nano),
        "limit_usd": format_nano(budget.limit_nano),
        "resets_at": format_instant(budget.resets_at),
    }
    return Refusal(402, "budget_exceeded", _reason(shortfall, spent), details, _retry_after(shortfall, now))


def budgets_unknown() -> Refusal:
    """Return the refusal of a request while it is not known what is spent."""
    message = "budgets cannot be read now, and METERING_SIDECAR_WHEN_UNKNOWN is closed; try again later"
    return Refusal(503, "budgets_unknown", message, retry_after_seconds=_RETRY_UNKNOWN_SECONDS)


def _reason(shortfall: BudgetShortfall, spent: int) -> str:
    budget = shortfall.budget
    state = f"${display_nano(spent)} of ${display_nano(budget.limit_nano)} is spent"
    if shortfall.is_exhausted:
        return f"the budget {budget.title!r} is used up: {state}; it resets at {format_instant(budget.resets_at)}"
    cost = f"this request can cost up to ${display_nano(shortfall.asked_nano)}"
    if shortfall.passes_once_settled:
        reserved = f"${display_nano(shortfall.reserved_nano)} is reserved for requests in flight"
        return f"the budget {budget.title!r} has no room now: {state}, {reserved}, and {cost}; try again when they have ended"
    return (
        f"{cost}, which is more than the budget {budget.title!r} has left: {state}; lower max_tokens or shorten the prompt,"
        f" or wait until it resets at {format_instant(budget.resets_at)}"
    )


def _retry_after(shortfall: BudgetShortfall, now: int) -> int | None:
    if shortfall.passes_once_settled:
        return 1
    seconds = -(-(shortfall.budget.resets_at - now) // MICROS_PER_SECOND)
    return max(1, seconds) if seconds <= NEAR_RESET_SECONDS else None
