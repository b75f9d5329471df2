"""Compare prices: what each price list says differently at two instants."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.domain.prices.listed_changes import ListedChange
from metering.operations.prices.show_prices import list_tables
from pricing.changes import PriceChange, changes_between
from pricing.tables import ANY_ROUTE


class DiffQuery(Struct, frozen=True):
    """Which prices: of one list or of all, of one provider or of all, known at an instant; instants in microseconds UTC.

    Prices of an account's own are compared for ``account_id`` only.
    """

    start: int
    end: int
    source: str | None = None
    provider: str | None = None
    account_id: int | None = None
    known_at: int | None = None


def compare_prices(engine: Engine, query: DiffQuery) -> list[ListedChange]:
    """Return what differs between two instants, in the order of its place. What changed and changed back does not differ.

    Raises DomainError for a period that ends before it starts.
    """
    if query.end < query.start:
        raise DomainError("a comparison goes from an earlier instant to a later one")
    tables = [
        table
        for table in list_tables(engine, known_at=query.known_at)
        if query.source in (None, table.source) and table.account_id in (None, query.account_id)
    ]
    found: list[ListedChange] = []
    for source in sorted({table.source for table in tables}):
        of_any_route: set[PriceChange] = set()
        # Any route comes first: what changed there is not told again for each route.
        for route in sorted({table.route for table in tables if table.source == source}):
            changes = changes_between(tables, source, query.start, query.end, route=route, account_id=query.account_id)
            found += [
                ListedChange(source, route, change)
                for change in changes
                if query.provider in (None, change.provider) and change not in of_any_route
            ]
            if route == ANY_ROUTE:
                of_any_route = set(changes)
    return found
