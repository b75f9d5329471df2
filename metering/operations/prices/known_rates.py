"""All rates that an account could have been charged, by model, for comparison with a bill at other prices."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pricing.rates import Rate
from pricing.tables import PriceTable


class KnownRates(NamedTuple):
    """Rates by (provider, model in lower case), each distinct price once, and all rates by id."""

    by_model: Mapping[tuple[str, str], list[Rate]]
    by_id: Mapping[int, Rate]


def known_rates(tables: Iterable[PriceTable], account_id: int) -> KnownRates:
    """Return the rates that apply to all accounts or to this one. Of rates with equal prices, the newest is returned."""
    newest: dict[tuple[str, str], dict[object, Rate]] = {}
    by_id = {}
    for table in tables:
        for rate in table.rates:
            by_id[rate.id] = rate
            if table.account_id in (None, account_id):
                content = (
                    rate.operation,
                    rate.context_from,
                    tuple(sorted((kind, price.pico, price.block) for kind, price in rate.prices.items())),
                )
                newest.setdefault((rate.provider, rate.model.casefold()), {})[content] = rate
    return KnownRates({key: list(rates.values()) for key, rates in newest.items()}, by_id)
