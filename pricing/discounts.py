"""A discount: an account's own prices, expanded from what everybody else pays.

From its instant on, every price that the layers below the account's say, or are known to say later, is written down less a
share of it. So a discount is a price table like any other: it has a version, it can be shown and explained, and a base price
that is recorded later changes nothing in it; expanding it again is what takes that in. Where the account has a price of its
own from another list, that one stays.

A price that is no whole pico-USD is rounded to the nearest, halves up.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pricing.book import PriceBook
from pricing.errors import InvalidAmountError, InvalidDiscountError
from pricing.money import divide_half_away, parse_usd
from pricing.names import Aliases
from pricing.precedence import Standing, Step, decide, tiers_in_force
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.tables import ANY_ROUTE, Layer, PriceTable, RateKey, TableKind

SOURCE = "discount"
WHOLE = 1_000_000
MAX_SOURCE_LENGTH = 1_000

# A table for each route, never one for any: what is said of a route and what is said of any route would otherwise overtake each
# other when a base price changes for one of them.
ROUTES = ("routed", "provider_key", "serverless", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """A share off every price of an account, in millionths (12.5 % is 125,000); of one provider or model where it is named.

    ``effective_from`` is in microseconds UTC. A share of 0 ends an earlier discount from that instant on.
    """

    account_id: int
    share: int
    effective_from: int
    provider: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share <= WHOLE:
            raise InvalidDiscountError(f"a discount must be from 0 to 100 percent, got {_percent(self.share)}")


@dataclass(frozen=True, slots=True)
class Expanded:
    """The tables of a discount, and how many prices are in them.

    ``rounded`` counts those that were no whole pico-USD; ``kept`` names the models that keep a price of the account's own.
    """

    tables: tuple[PriceTable, ...]
    prices: int
    rounded: int
    kept: tuple[RateKey, ...]


def parse_percent(text: str) -> int:
    """Read a percentage with at most four decimals (``12.5``) as millionths. Raises InvalidDiscountError."""
    try:
        share = parse_usd(text.strip().removesuffix("%"), unit_per_usd=WHOLE // 100)
    except InvalidAmountError:
        raise InvalidDiscountError(f"{text[:40]!r} is not a percentage with at most four decimals, such as 12.5") from None
    if not 0 <= share <= WHOLE:
        raise InvalidDiscountError(f"a discount must be from 0 to 100 percent, got {text[:40]!r}")
    return share


def expand(tables: Iterable[PriceTable], discount: Discount, aliases: Aliases | None = None) -> Expanded:
    """Return the tables that give an account its discount, from all recorded tables; the same tables give the same answer.

    Raises InvalidDiscountError where no list has a price to take it off.
    """
    recorded = list(tables)
    mine = [table for table in recorded if table.account_id == discount.account_id]
    writer = _Writer(
        discount,
        base=PriceBook((table for table in recorded if table.layer is not Layer.ACCOUNT), aliases),
        own=PriceBook((table for table in mine if table.source != SOURCE), aliases),
        before=PriceBook((table for table in mine if table.source == SOURCE), Aliases()),
    )
    found = False
    for route in ROUTES:
        for key in _keys(writer.base, route, discount):
            found = True
            writer.write(route, key)
    if not found:
        named = " at ".join(name for name in (discount.model, discount.provider) if name) or "anything"
        raise InvalidDiscountError(f"no price list has a price of {named}, so there is nothing to take a discount off")
    return writer.expanded()


@dataclass(slots=True)
class _Writer:
    """Writes down what each key costs from each instant on."""

    discount: Discount
    base: PriceBook
    own: PriceBook
    before: PriceBook
    rates: dict[tuple[int, str], list[Rate]] = field(default_factory=lambda: defaultdict(list))
    withdrawn: dict[tuple[int, str], set[RateKey]] = field(default_factory=lambda: defaultdict(set))
    rounded: int = 0
    kept: set[RateKey] = field(default_factory=set)

    def write(self, route: str, key: RateKey) -> None:
        """Write one key on one route."""
        asked, own = self.base.asked(None, route, key), self.own.asked(self.discount.account_id, route, key)
        earlier = [stream for stream in self.before.streams if stream.route == route and key in stream.steps]
        first = self.discount.effective_from
        said = [start for each in (*asked, *own) for start in each.starts()]
        said += [step.effective_from for stream in earlier for step in stream.steps[key]]
        for start in sorted({first, *(start for start in said if start > first)}):
            wins = next((word.step for word in decide(asked, start) if word.standing is Standing.WINS), None)
            stays = bool(tiers_in_force(own, start))
            if stays and wins is not None:
                self.kept.add(key)
            if wins is None or stays or not self.discount.share:
                # Said even where nothing was: the discount has to know every name that the lists below know, or it would take
                # one for another.
                self.withdrawn[start, route].add(key)
            else:
                self.rates[start, route].extend(self._discounted(key, wins, rate) for rate in wins.tiers)

    def _discounted(self, key: RateKey, step: Step, rate: Rate) -> Rate:
        left = WHOLE - self.discount.share
        scaled = {kind: price.pico * left for kind, price in rate.prices.items()}
        inexact = any(pico % WHOLE for pico in scaled.values())
        self.rounded += inexact
        remark = ", rounded half up to whole pico-USD" if inexact else ""
        source = f"{_percent(self.discount.share)} off version {step.table.id} of {step.table.source}{remark}: {rate.source}"
        provider, model, operation = key
        return Rate(
            provider=provider,
            model=model,
            operation=operation,
            context_from=rate.context_from,
            source=source[:MAX_SOURCE_LENGTH],
            prices={kind: Price(divide_half_away(scaled[kind], WHOLE), price.block) for kind, price in rate.prices.items()},
        )

    def expanded(self) -> Expanded:
        """Return what was written."""
        places = sorted(self.rates.keys() | self.withdrawn.keys())
        tables = tuple(
            PriceTable(
                source=SOURCE,
                layer=Layer.ACCOUNT,
                kind=TableKind.PATCH,
                effective_from=start,
                route=route,
                account_id=self.discount.account_id,
                rates=tuple(self.rates.get((start, route), ())),
                withdrawn=frozenset(self.withdrawn.get((start, route), ())),
            )
            for start, route in places
        )
        return Expanded(tables, sum(len(table.rates) for table in tables), self.rounded, tuple(sorted(self.kept)))


def _keys(base: PriceBook, route: str, discount: Discount) -> list[RateKey]:
    """Return the keys that are listed on a route and that the discount is about, in their order; a model under all names."""
    keys = {
        key
        for stream in base.streams
        if stream.route in (ANY_ROUTE, route)
        for key in stream.steps
        if discount.provider in (None, key[0])
    }
    if discount.model is not None:
        named = {
            (provider, each.name.model)
            for provider in {key[0] for key in keys}
            for each in base.asked(None, route, (provider, discount.model, ANY_OPERATION))
            if each.name.model is not None
        }
        alike = {(provider, other) for provider, name in named for other in base.aliases.of(provider, name)} | named
        lowered = {(provider, name.casefold()) for provider, name in alike}
        keys = {key for key in keys if (key[0], key[1].casefold()) in lowered}
    return sorted(keys)


def _percent(share: int) -> str:
    whole, decimals = divmod(share, WHOLE // 100)
    return f"{whole}.{decimals:04d}".rstrip("0").rstrip(".") + " %"
