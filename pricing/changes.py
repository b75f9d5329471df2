"""Changes between two sets of prices: which prices were added, withdrawn, raised or lowered.

A price is for one kind of quantity of one model at one provider, from one context size. The same amount per a different block
of units is the same price. Changes are ordered by provider, model, operation, context size and kind of quantity.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from pricing.book import PriceBook
from pricing.quantities import PRICED_KINDS, REQUESTS
from pricing.quoting import quote
from pricing.rates import Price, Rate
from pricing.tables import PriceTable, key_of

PriceKey = tuple[str, str, str, int, str]
"""(provider, model, operation, context_from, quantity)."""

_ORDER = {kind: position for position, kind in enumerate((*PRICED_KINDS, REQUESTS))}


class ChangeKind(StrEnum):
    """Kinds of price changes."""

    ADDED = "added"
    WITHDRAWN = "withdrawn"
    RAISED = "raised"
    LOWERED = "lowered"


class PriceChange(Struct, frozen=True):
    """A price before and after a change; None where there is no known price."""

    provider: str
    model: str
    operation: str
    context_from: int
    quantity: str
    before: Price | None
    after: Price | None

    @property
    def kind(self) -> ChangeKind:
        """The kind of change."""
        if self.before is None:
            return ChangeKind.ADDED
        if self.after is None:
            return ChangeKind.WITHDRAWN
        raised = self.after.pico * self.before.block > self.before.pico * self.after.block
        return ChangeKind.RAISED if raised else ChangeKind.LOWERED

    def __str__(self) -> str:
        what = f"{self.provider} {self.model}" + (f" ({self.operation})" if self.operation else "")
        tier = f" from {self.context_from} tokens" if self.context_from else ""
        before = "none" if self.before is None else quote(self.quantity, self.before)
        after = "none" if self.after is None else quote(self.quantity, self.after)
        return f"{what}: {self.quantity}{tier} {self.kind}: {before} -> {after}"


def prices_of(rates: Iterable[Rate]) -> dict[PriceKey, Price]:
    """Return the individual prices of rates, by key."""
    return {(*key_of(rate), rate.context_from, quantity): price for rate in rates for quantity, price in rate.prices.items()}


def compare_prices(before: Mapping[PriceKey, Price], after: Mapping[PriceKey, Price]) -> tuple[PriceChange, ...]:
    """Return the prices that differ between two sets, in order."""
    return tuple(
        PriceChange(*key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys(), key=_sort_key)
        if not _same(before.get(key), after.get(key))
    )


def prices_in_force(
    tables: Iterable[PriceTable],
    source: str,
    instant: int,
    *,
    route: str,
    account_id: int | None = None,
) -> dict[PriceKey, Price]:
    """Return the prices of one source in force at an instant (microseconds since 1970, UTC) on a route.

    They come from the source's tables in all layers, as in the price book: a withdrawal in one layer applies to the layers
    below. Tables of the ACCOUNT layer are included for ``account_id`` only.
    """
    listed = [table for table in tables if table.source == source]
    contexts: dict[tuple[str, str, str], set[int]] = {}
    for table in listed:
        for listed_rate in table.rates:
            contexts.setdefault(key_of(listed_rate), set()).add(listed_rate.context_from)
    book = PriceBook(listed)
    found: dict[PriceKey, Price] = {}
    for key, sizes in contexts.items():
        for size in sizes:
            rate = book.rate_for(account_id, route, key, instant, size)
            # If this tier no longer exists, the rate found is a lower tier, whose prices have their own keys.
            if rate is not None:
                found.update(prices_of([rate]))
    return found


def changes_between(
    tables: Iterable[PriceTable],
    source: str,
    start: int,
    end: int,
    *,
    route: str,
    account_id: int | None = None,
) -> tuple[PriceChange, ...]:
    """Return the prices of one source that differ between two instants (microseconds since 1970, UTC), in order.

    A price that changed and changed back in between does not differ. A price that takes effect exactly at ``end`` does.
    """
    listed = list(tables)
    return compare_prices(
        prices_in_force(listed, source, start, route=route, account_id=account_id),
        prices_in_force(listed, source, end, route=route, account_id=account_id),
    )


def _same(before: Price | None, after: Price | None) -> bool:
    if before is None or after is None:
        return before is after
    return before.pico * after.block == after.pico * before.block


def _sort_key(key: PriceKey) -> tuple[str, str, str, int, int]:
    provider, model, operation, context_from, quantity = key
    return provider, model, operation, context_from, _ORDER[quantity]
