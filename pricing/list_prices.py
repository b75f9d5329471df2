"""List prices: what everyone pays where an account has a separate price.

A discounted rate states in its provenance which version of which list it was computed from; its list price is that version's.
An agreed rate has no such origin; its list price is the price that the account would otherwise pay at the same instant.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from pricing.book import PriceBook
from pricing.discounts import base_version
from pricing.rates import Rate
from pricing.tables import DISCOUNT, Layer, PriceTable, RateKey, key_of


class ListPrices(Struct):
    """Finds the list price of an account's own rates.

    ``own`` has the source of each of the account's price tables by id. ``base`` are the price lists of all accounts: at least
    the versions that discounts were computed from, and every version if the account has agreed prices.
    """

    own: Mapping[int, str] = field(default_factory=dict)
    base: tuple[PriceTable, ...] = ()
    _versions: dict[int, PriceBook | None] = field(default_factory=dict)
    _book: PriceBook | None = None

    def is_own(self, rate: Rate) -> bool:
        """Whether a rate is the account's own, so that its list price may differ."""
        return rate.table_id in self.own

    def list_rate(self, rate: Rate, route: str, key: RateKey, instant: int) -> Rate:
        """Return the list price of what ``rate`` priced, or the rate itself if it is listed or no list has a price.

        ``key`` is the (provider, model, operation) of the requests, ``instant`` (microseconds UTC) when they were made.
        """
        source = self.own.get(rate.table_id)
        if source is None:
            return rate
        found = self._discounted_from(rate, route) if source == DISCOUNT else self._listed(rate, route, key, instant)
        return rate if found is None else found

    def _discounted_from(self, rate: Rate, route: str) -> Rate | None:
        version = base_version(rate.source)
        if version is None:
            return None
        if version not in self._versions:
            table = next((each for each in self.base if each.id == version), None)
            self._versions[version] = None if table is None else PriceBook([table])
        book = self._versions[version]
        if book is None:
            return None
        return book.rate_for(None, route, key_of(rate), book.tables[0].effective_from, rate.context_from)

    def _listed(self, rate: Rate, route: str, key: RateKey, instant: int) -> Rate | None:
        if self._book is None:
            self._book = PriceBook(each for each in self.base if each.layer is not Layer.ACCOUNT)
        return self._book.rate_for(None, route, key, instant, rate.context_from)


def base_versions(rates: Iterable[Rate], own: Mapping[int, str]) -> set[int]:
    """Return the ids of the price tables that the discounted ones among an account's rates were computed from."""
    found = {base_version(rate.source) for rate in rates if own.get(rate.table_id) == DISCOUNT}
    return {version for version in found if version is not None}
