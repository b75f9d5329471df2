"""Budgets that block, as a gateway in front of a provider needs them: what they cover, their limit, and what is spent.

A gateway reserves what a request can cost before it passes the request on (``reservations``). The spend of a budget is as of a
position of the gateway's journal: every event up to it is in the spend, and none after it.
"""

from collections.abc import Iterable

from msgspec import Struct

from metering.domain.budgets.budgets import Budget, Scope, amount_at
from metering.domain.budgets.periods import Period, Window, fixed_period, period_at
from metering.domain.charges.spend import TAG_PREFIX
from metering.domain.instants import MICROS_PER_DAY


class BlockingBudget(Struct, frozen=True, array_like=True):
    """A budget that blocks, in the period ``[first_day, end_day)`` (days since 1970).

    ``limit_nano`` is the spend from which it blocks. ``spent_nano`` is negative if credits still cover that much before
    anything counts. ``only_billable``: what Hugging Face does not bill does not count.
    """

    id: int
    revision_id: int
    account_id: int
    name: str
    scope: Scope
    window: Window
    first_day: int
    end_day: int
    limit_nano: int
    spent_nano: int
    only_billable: bool = False

    @property
    def start(self) -> int:
        """The first instant of the period, in microseconds UTC."""
        return self.first_day * MICROS_PER_DAY

    @property
    def resets_at(self) -> int:
        """The first instant after the period, in microseconds UTC."""
        return self.end_day * MICROS_PER_DAY

    @property
    def title(self) -> str:
        """The name; of a budget without one, its ID."""
        return self.name or f"budget {self.id}"

    def period_at(self, now: int) -> Period:
        """Return the period that contains an instant; of a fixed window its only one."""
        if self.window is Window.FIXED:
            return fixed_period(self.first_day, self.end_day)
        return period_at(self.window, now // MICROS_PER_DAY)


def blocking_budget(budget: Budget, spent_nano: int, period: Period, *, only_billable: bool) -> BlockingBudget:
    """Return a budget with the action ``block`` and its spend in a period."""
    terms = budget.terms
    return BlockingBudget(
        id=budget.id,
        revision_id=budget.revision_id,
        account_id=budget.account_id,
        name=terms.name,
        scope=terms.scope,
        window=terms.window,
        first_day=period.first_day,
        end_day=period.end_day,
        limit_nano=amount_at(terms.amount_nano, terms.block_percent or 0),
        spent_nano=spent_nano,
        only_billable=only_billable,
    )


class BilledAccount(Struct, frozen=True, array_like=True):
    """The account that a name means now, and the billing route of its requests that state none."""

    id: int
    default_route: str


class BlockingView(Struct, frozen=True, array_like=True):
    """The blocking budgets of some accounts at one moment.

    ``accounts`` has each name that was asked for. ``declared_tags`` are the tags that budgets can count by. ``has_blocking``:
    some account has a budget that blocks, whether it was asked for or not.
    """

    as_of: int
    accounts: dict[str, BilledAccount]
    budgets: list[BlockingBudget]
    declared_tags: list[str]
    has_blocking: bool


class CountedRequest(Struct, frozen=True):
    """What decides which budgets a request counts in. ``tags`` are the declared ones.

    ``providers`` are all that may serve it: it is counted in the budgets of each of them until it is known which one did.
    """

    account_id: int
    providers: tuple[str, ...]
    model: str
    project: str = ""
    key: str = ""
    tags: dict[str, str] = {}
    billable: bool = True

    def counts_in(self, budget: BlockingBudget) -> bool:
        """Whether the budget covers the request."""
        if self.account_id != budget.account_id or (budget.only_billable and not self.billable):
            return False
        for dimension, values in budget.scope.items():  # noqa: SIM110 - a generator takes twice the time
            if not self._matches(dimension, values):
                return False
        return True

    def _matches(self, dimension: str, values: Iterable[str]) -> bool:
        if dimension == "provider":
            return any(provider in values for provider in self.providers)
        if dimension.startswith(TAG_PREFIX):
            return self.tags.get(dimension.removeprefix(TAG_PREFIX), "") in values
        value: str = getattr(self, dimension)
        return value in values
