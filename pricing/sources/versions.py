"""The versions of a price list: of each model in the order of their instants, each instant once.

Whatever a list is written in, it becomes one table (a patch) for each route and instant in it.
"""

from collections.abc import Iterable

from pricing.errors import InvalidPriceError, PriceFault
from pricing.rates import Rate
from pricing.tables import Layer, PriceTable, RateKey, TableKind


class PriceVersions:
    """What is priced and what is withdrawn from each instant, as it is read."""

    def __init__(self) -> None:
        self._began: dict[tuple[str, RateKey], list[int]] = {}
        self._listed: dict[tuple[str, int], tuple[list[Rate], set[RateKey]]] = {}

    def add(self, route: str, key: RateKey, effective_from: int, rates: Iterable[Rate], where: str) -> None:
        """Add a version of ``key``: its rates, or none where it is withdrawn or its price unknown.

        Raises InvalidPriceError that begins with ``where`` for an instant that is listed already, or before the last one.
        """
        began = self._began.setdefault((route, key), [])
        if effective_from in began:
            raise InvalidPriceError(f"{where}: listed twice from the same instant", PriceFault.DUPLICATE)
        if began and effective_from < began[-1]:
            raise InvalidPriceError(
                f"{where}: versions must be in the order of their instants, oldest first", PriceFault.OUT_OF_ORDER
            )
        began.append(effective_from)
        priced, withdrawn = self._listed.setdefault((route, effective_from), ([], set()))
        before = len(priced)
        priced.extend(rates)
        if len(priced) == before:
            withdrawn.add(key)

    def tables(self, source: str, layer: Layer, account_id: int | None = None, recorded_at: int = 0) -> tuple[PriceTable, ...]:
        """Return one table for each route and instant, in that order."""
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
