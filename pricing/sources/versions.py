"""The versions of a price list: for each model ordered by instant, each instant once.

Whatever its format, a list becomes one table (a patch) per route and instant.
"""

from collections.abc import Iterable

from pricing.errors import InvalidPriceError, PriceFault
from pricing.rates import Rate
from pricing.tables import Layer, PriceTable, RateKey, TableKind


class PriceVersions:
    """Collects the prices and withdrawals at each instant while a list is read."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, RateKey], list[int]] = {}
        self._listed: dict[tuple[str, int], tuple[list[Rate], set[RateKey]]] = {}

    def add(self, route: str, key: RateKey, effective_from: int, rates: Iterable[Rate], where: str) -> None:
        """Add a version of ``key``: its rates, or none if it is withdrawn or its price is unknown.

        Raises InvalidPriceError, with a message that begins with ``where``, for an instant that is not after the last one.
        """
        starts = self._starts.setdefault((route, key), [])
        if effective_from in starts:
            raise InvalidPriceError(f"{where}: listed twice for the same instant", PriceFault.DUPLICATE)
        if starts and effective_from < starts[-1]:
            raise InvalidPriceError(f"{where}: versions must be ordered by instant, oldest first", PriceFault.OUT_OF_ORDER)
        starts.append(effective_from)
        priced, withdrawn = self._listed.setdefault((route, effective_from), ([], set()))
        before = len(priced)
        priced.extend(rates)
        if len(priced) == before:
            withdrawn.add(key)

    def tables(self, source: str, layer: Layer, account_id: int | None = None, recorded_at: int = 0) -> tuple[PriceTable, ...]:
        """Return one table per route and instant, in that order."""
        return tuple(
            PriceTable(
                source=source,
                layer=layer,
                kind=TableKind.PATCH,
                effective_from=effective_from,
                rates=tuple(rates),
                withdrawn=frozenset(withdrawn),
                route=route,
                account_id=account_id,
                recorded_at=recorded_at,
            )
            for (route, effective_from), (rates, withdrawn) in sorted(self._listed.items(), key=lambda listed: listed[0])
        )
