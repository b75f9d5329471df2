"""Compare prices at two instants, price list by price list."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.domain.prices.listed_changes import ListedChange
from metering.domain.usage.model_names import provider_name
from metering.operations.prices.show_prices import list_tables
from pricing.changes import PriceChange, changes_between
from pricing.tables import ANY_ROUTE


class DiffQuery(Struct, frozen=True):
    """Which prices to compare at which instants (microseconds UTC): of one price list or all, of one provider or all.

    ``known_at`` leaves out tables that were recorded later. An account's own prices are compared for ``account_id`` only.
    """

    start: int
    end: int
    source: str | None = None
    provider: str | None = None
    account_id: int | None = None
    known_at: int | None = None


def compare_prices(engine: Engine, query: DiffQuery) -> list[ListedChange]:
    """Return the prices that differ between two instants, in the order of ``sort_key``.

    A price that changed and changed back in between does not differ. Raises DomainError if the period ends before it starts.
    """
    if query.end < query.start:
        raise DomainError("the start of a comparison must not be after its end")
    provider = None if query.provider is None else provider_name(query.provider)
    tables = [
        table
        for table in list_tables(engine, known_at=query.known_at)
        if query.source in (None, table.source) and table.account_id in (None, query.account_id)
    ]
    found: list[ListedChange] = []
    for source in sorted({table.source for table in tables}):
        of_any_route: set[PriceChange] = set()
        # Any route comes first, so that a change of a price for any route is not repeated for each route.
        for route in sorted({table.route for table in tables if table.source == source}):
            changes = changes_between(tables, source, query.start, query.end, route=route, account_id=query.account_id)
            found += [
                ListedChange(source, route, change)
                for change in changes
                if provider in (None, change.provider) and change not in of_any_route
            ]
            if route == ANY_ROUTE:
                of_any_route = set(changes)
    return found
