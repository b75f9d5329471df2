"""The spend of an account by scope and period, for many budgets at once: one query per period.

Queries return sums by series. For each combination of scope dimensions, the sums are grouped by the values of these
dimensions, so that each budget is a lookup, however many there are.
"""

import json
from collections.abc import Iterable
from itertools import product
from math import prod
from operator import contains

from msgspec.structs import replace
from sqlalchemy import Connection

from metering.domain.budgets.budgets import Scope
from metering.domain.budgets.periods import Period
from metering.domain.charges.spend import TAG_PREFIX
from metering.domain.instants import first_day, month_of_day
from metering.domain.statements.account_books import AccountBooks, usage_payable_nano
from metering.domain.statements.billing_months import billing_month_of
from metering.domain.usage.series import OTHER, SeriesKey
from metering.operations.steps.read_books import read_books
from metering.storage.budgets.budget_spend import SeriesSpend, spend_by_day, spend_by_series
from metering.storage.usage.series import series_by_id
from pricing.plans import PlanCatalog

Values = tuple[str, ...]
_IDS_PER_STATEMENT = 500
_MORE_THAN_ALL_CREDITS = 10**20


class SeriesValues:
    """The dimension values of series. Kept between evaluations, because a series never changes."""

    def __init__(self) -> None:
        self._keys: dict[int, SeriesKey] = {}
        self._values: dict[Values, dict[int, Values]] = {}

    def load(self, connection: Connection, series_ids: Iterable[int]) -> None:
        """Load the series that are not known yet."""
        unknown = sorted(set(series_ids).difference(self._keys))
        for start in range(0, len(unknown), _IDS_PER_STATEMENT):
            self._keys |= series_by_id(connection, unknown[start : start + _IDS_PER_STATEMENT])

    def of(self, series_id: int, dimensions: Values) -> Values:
        """Return the values of a loaded series, one per dimension; a missing value is empty."""
        known = self._values.setdefault(dimensions, {})
        if series_id not in known:
            key = self._keys[series_id]
            known[series_id] = tuple(_value(key, dimension) for dimension in dimensions)
        return known[series_id]


class AccountSpend:
    """The spend of one account, read in one transaction, each period once."""

    def __init__(self, connection: Connection, account_id: int, values: SeriesValues, catalog: PlanCatalog) -> None:
        self._connection = connection
        self._account_id = account_id
        self._values = values
        self._catalog = catalog
        self._by_series: dict[tuple[int, int], dict[int, SeriesSpend]] = {}
        self._books: AccountBooks | None = None
        self._by_values: dict[tuple[int, int, Values], dict[Values, SeriesSpend]] = {}

    def read_days(self, days: Iterable[int]) -> None:
        """Load several single days in one query."""
        missing = [day for day in days if (day, day + 1) not in self._by_series]
        by_day = spend_by_day(self._connection, self._account_id, missing) if missing else {}
        for day in missing:
            self._by_series[day, day + 1] = by_day.get(day, {})

    def within(self, scope: Scope, first_day: int, end_day: int) -> SeriesSpend:
        """Return the spend in a scope over whole days, by event time, and the number of events without a price."""
        by_values = self.sums(first_day, end_day, tuple(scope))
        if prod(map(len, scope.values())) <= len(by_values):
            matching = [by_values[values] for values in product(*scope.values()) if values in by_values]
        else:
            accepted = list(scope.values())
            matching = [spend for values, spend in by_values.items() if all(map(contains, accepted, values))]
        return SeriesSpend(sum(each.amount_nano for each in matching), sum(each.unpriced_events for each in matching))

    def after_credits(self, period: Period) -> int:
        """Return the account's billable charges of a billing month that credits do not cover, in nano-USD.

        They are those of the month's statement: late usage of a closed month counts where it is billed.
        """
        month = month_of_day(period.first_day)
        return usage_payable_nano(self._account_books(), month, self._catalog)

    def beyond_credits(self, period: Period) -> int:
        """Return the same as ``after_credits`` once it is above zero; below, minus the further charges that credits cover."""
        month = month_of_day(period.first_day)
        books = self._account_books()
        usage = {**books.usage, (month, month): books.usage.get((month, month), 0) + _MORE_THAN_ALL_CREDITS}
        return usage_payable_nano(replace(books, usage=usage), month, self._catalog) - _MORE_THAN_ALL_CREDITS

    def billed_days(self, days: Iterable[int]) -> set[int]:
        """Return a day of the month in which the usage of each of ``days`` is billed."""
        closed_through = self._account_books().closed_through
        return {max(day, first_day(billing_month_of(month_of_day(day), closed_through))) for day in days}

    def _account_books(self) -> AccountBooks:
        if self._books is None:
            self._books = read_books(self._connection, self._account_id)
        return self._books

    def sums(self, first_day: int, end_day: int, dimensions: Values) -> dict[Values, SeriesSpend]:
        """Return the spend over whole days by the values of dimensions; combinations without usage are omitted."""
        key = (first_day, end_day, dimensions)
        if key not in self._by_values:
            sums: dict[Values, SeriesSpend] = {}
            for series_id, spend in self._of_series(first_day, end_day).items():
                values = self._values.of(series_id, dimensions)
                before = sums.get(values)
                sums[values] = spend if before is None else before.plus(spend)
            self._by_values[key] = sums
        return self._by_values[key]

    def _of_series(self, first_day: int, end_day: int) -> dict[int, SeriesSpend]:
        days = (first_day, end_day)
        if days not in self._by_series:
            self._by_series[days] = spend_by_series(self._connection, self._account_id, first_day, end_day)
        self._values.load(self._connection, self._by_series[days])
        return self._by_series[days]


def _value(key: SeriesKey, dimension: str) -> str:
    if not dimension.startswith(TAG_PREFIX):
        value: str = getattr(key, dimension)
        return value
    if key.tags == OTHER:
        return OTHER
    tag: str = json.loads(key.tags).get(dimension.removeprefix(TAG_PREFIX), "") if key.tags else ""
    return tag
