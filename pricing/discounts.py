"""A discount: what everybody else pays less a share, written down as prices of the account's own.

Of the discounts that an account was given, the one recorded last counts for everything that it is about, from its instant on.
From it and from every price that the layers below the account's say, or are known to say later, follows what the account pays.
Expanding writes down what differs from what is written already: so a discount is a price table like any other, with versions
that can be shown and explained, expanding again with nothing new writes nothing, and a base price that changes is followed from
its instant on. A price that the account has from another list goes before (``precedence``).

A price that is no whole pico-USD is rounded to the nearest, halves up.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from pricing.book import PriceBook
from pricing.errors import InvalidAmountError, InvalidDiscountError
from pricing.history import same_prices
from pricing.money import divide_half_away, parse_usd
from pricing.names import Aliases
from pricing.precedence import QuoteOutcome, TableEntry, Tiers, decide, tiers_in_force
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.tables import ANY_ROUTE, DISCOUNT, Layer, PriceTable, RateKey, TableKind

WHOLE = 1_000_000
MAX_SOURCE_LENGTH = 1_000

# A table for each route, never one for any: what is said of a route and what is said of any route would otherwise overtake each
# other when a base price changes for one of them.
ROUTES = ("routed", "provider_key", "serverless", "unknown")


class Discount(Struct, frozen=True, kw_only=True):
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


class ExpandedDiscounts(Struct, frozen=True):
    """What has to be written, and how many prices there are in the discount that was asked about.

    ``rounded`` counts those that were no whole pico-USD; ``kept`` names the models that keep a price of the account's own.
    """

    tables: tuple[PriceTable, ...]
    prices: int = 0
    rounded: int = 0
    kept: tuple[RateKey, ...] = ()


def parse_percent(text: str) -> int:
    """Read a percentage with at most four decimals (``12.5``) as millionths. Raises InvalidDiscountError."""
    try:
        share = parse_usd(text.strip().removesuffix("%"), unit_per_usd=WHOLE // 100)
    except InvalidAmountError:
        raise InvalidDiscountError(f"{text[:40]!r} is not a percentage with at most four decimals, such as 12.5") from None
    if not 0 <= share <= WHOLE:
        raise InvalidDiscountError(f"a discount must be from 0 to 100 percent, got {text[:40]!r}")
    return share


class BasePrices:
    """What everybody pays who has no prices of their own: the layers below the account's."""

    def __init__(self, tables: Iterable[PriceTable], aliases: Aliases | None = None) -> None:
        self.book = PriceBook((table for table in tables if table.layer is not Layer.ACCOUNT), aliases)
        self._steps: dict[tuple[str, RateKey, int], list[tuple[int, TableEntry | None]]] = {}

    def steps(self, route: str, key: RateKey, since: int) -> list[tuple[int, TableEntry | None]]:
        """Return what holds at ``since`` and from each later instant on; None where there is no price."""
        found = self._steps.get((route, key, since))
        if found is None:
            asked = self.book.asked(None, route, key)
            starts = sorted({since, *(start for each in asked for start in each.starts() if start > since)})
            found = [
                (start, next((word.step for word in decide(asked, start) if word.standing is QuoteOutcome.WINS), None))
                for start in starts
            ]
            self._steps[route, key, since] = found
        return found

    def reach(self, discount: Discount) -> set[tuple[str, RateKey]]:
        """Return the routes and prices that a discount is about; a model under all its names."""
        return {(route, key) for route in ROUTES for key in self._keys(route, discount)}

    def _keys(self, route: str, discount: Discount) -> set[RateKey]:
        keys = {
            key
            for stream in self.book.streams
            if stream.route in (ANY_ROUTE, route)
            for key in stream.steps
            if discount.provider in (None, key[0])
        }
        if discount.model is None:
            return keys
        named = {
            (provider, each.name.model)
            for provider in {key[0] for key in keys}
            for each in self.book.asked(None, route, (provider, discount.model, ANY_OPERATION))
            if each.name.model is not None
        }
        alike = {(provider, other) for provider, name in named for other in self.book.aliases.of(provider, name)} | named
        lowered = {(provider, name.casefold()) for provider, name in alike}
        return {key for key in keys if (key[0], key[1].casefold()) in lowered}


def counts_already(base: BasePrices, given: Sequence[Discount], asked: Discount) -> bool:
    """Whether a discount is what was given last of everything that it is about; ``given`` in the order of recording.

    Raises InvalidDiscountError where no list has a price to take it off.
    """
    about = base.reach(asked)
    if not about:
        named = " at ".join(name for name in (asked.model, asked.provider) if name) or "anything"
        raise InvalidDiscountError(f"no price list has a price of {named}, so there is nothing to take a discount off")
    return next((each for each in reversed(given) if base.reach(each) & about), None) == asked


def changed_since(fresh: Iterable[PriceTable], others: Iterable[PriceTable]) -> int | None:
    """Return from when on ``fresh`` tables can make the base another one than ``others`` did; None: at any time.

    A name that is new to a list changes under which name that list is read, at every instant.
    """
    known = {name for table in others for name in _names(table)}
    tables = list(fresh)
    if any(name not in known for table in tables for name in _names(table)):
        return None
    return min((table.effective_from for table in tables), default=None)


def _names(table: PriceTable) -> Iterator[tuple[Layer, str, str, str, str]]:
    for provider, model, _ in table.keys:
        yield table.layer, table.source, table.route, provider, model


def expand(
    base: BasePrices,
    mine: Iterable[PriceTable],
    given: Sequence[Discount],
    *,
    asked: Discount | None = None,
    since: int | None = None,
) -> ExpandedDiscounts:
    """Return what has to be written for one account's discounts to hold, ``given`` in the order of recording.

    ``mine`` are the tables of the account. With ``since`` what holds before that instant is not looked at: where base prices
    changed from then on, it is what was written.
    """
    own = list(mine)
    writer = _PriceWriter(
        base,
        given,
        asked,
        own=PriceBook((table for table in own if table.source != DISCOUNT), base.book.aliases),
        written=PriceBook((table for table in own if table.source == DISCOUNT), Aliases()),
    )
    applicable: dict[tuple[str, RateKey], list[Discount]] = defaultdict(list)
    for discount in given:
        for place in base.reach(discount):
            applicable[place].append(discount)
    for (route, key), discounts in sorted(applicable.items()):
        writer.write(route, key, discounts, since)
    return writer.expanded()


class _PriceWriter(Struct):
    """Writes down what each key costs from each instant on."""

    base: BasePrices
    given: Sequence[Discount]
    asked: Discount | None
    own: PriceBook
    written: PriceBook
    rates: dict[tuple[int, str], list[Rate]] = field(default_factory=lambda: defaultdict(list))
    withdrawn: dict[tuple[int, str], set[RateKey]] = field(default_factory=lambda: defaultdict(set))
    prices: int = 0
    rounded: int = 0
    kept: set[RateKey] = field(default_factory=set)

    def write(self, route: str, key: RateKey, discounts: Sequence[Discount], since: int | None) -> None:
        """Write one key on one route, where what is written says something else."""
        first = min(discount.effective_from for discount in discounts)
        begin = first if since is None else max(first, since)
        said = self._said(route, key)
        mine: TableEntry | None = None
        position, new, before = 0, None, None
        for start, step, discount in self._course(route, key, discounts, begin, said):
            while position < len(said) and said[position].effective_from <= start:
                mine, position = said[position], position + 1
                # What was written for a later instant counts from then on again.
                new = None
            tiers = () if step is None or not discount.share else self._discounted(key, step, discount)
            if discount == self.asked:
                self._count(tiers, before)
            before = tiers
            holds = new if new is not None else None if mine is None else mine.tiers
            # Said even where nothing was: the discount has to know every name that the lists below know, or it would take one
            # for another.
            if holds is None or not same_prices(holds, tiers):
                new = tiers
                self._put(start, route, key, tiers)
        if self.asked in discounts and self._keeps(route, key):
            self.kept.add(key)

    def _said(self, route: str, key: RateKey) -> list[TableEntry]:
        return next((stream.steps[key] for stream in self.written.streams if stream.route == route and key in stream.steps), [])

    def _course(
        self, route: str, key: RateKey, discounts: Sequence[Discount], begin: int, said: Sequence[TableEntry]
    ) -> Iterator[tuple[int, TableEntry | None, Discount]]:
        """Yield every instant at which something may change, with the base price and the discount that hold then."""
        steps = self.base.steps(route, key, begin)
        starts = {start for start, _ in steps} | {step.effective_from for step in said if step.effective_from > begin}
        starts |= {discount.effective_from for discount in discounts if discount.effective_from > begin}
        position = 0
        for start in sorted(starts):
            while position + 1 < len(steps) and steps[position + 1][0] <= start:
                position += 1
            counting = next(discount for discount in reversed(discounts) if discount.effective_from <= start)
            yield start, steps[position][1], counting

    def _count(self, tiers: Tiers, before: Tiers | None) -> None:
        if before is None or not same_prices(before, tiers):
            self.prices += len(tiers)
            self.rounded += sum(_ROUNDED in rate.source for rate in tiers)

    def _keeps(self, route: str, key: RateKey) -> bool:
        """Whether a price of the account's own stands where the discount would be."""
        if self.asked is None or not self.own.streams:
            return False
        first = self.asked.effective_from
        own = self.own.asked(self.asked.account_id, route, key)
        steps = self.base.steps(route, key, first)
        starts = {start for each in own for start in each.starts() if start > first} | {start for start, _ in steps}
        return any(
            tiers_in_force(own, start) and next(step for begin, step in reversed(steps) if begin <= start) is not None
            for start in starts
        )

    def _discounted(self, key: RateKey, step: TableEntry, discount: Discount) -> Tiers:
        provider, model, operation = key
        left = WHOLE - discount.share
        tiers = []
        for rate in step.tiers:
            scaled = {kind: price.pico * left for kind, price in rate.prices.items()}
            remark = _ROUNDED if any(pico % WHOLE for pico in scaled.values()) else ""
            source = f"{_percent(discount.share)} off version {step.table.id} of {step.table.source}{remark}: {rate.source}"
            prices = {kind: Price(divide_half_away(scaled[kind], WHOLE), price.block) for kind, price in rate.prices.items()}
            tiers.append(
                Rate(
                    provider=provider,
                    model=model,
                    operation=operation,
                    context_from=rate.context_from,
                    source=source[:MAX_SOURCE_LENGTH],
                    prices=prices,
                )
            )
        return tuple(tiers)

    def _put(self, start: int, route: str, key: RateKey, tiers: Tiers) -> None:
        if tiers:
            self.rates[start, route].extend(tiers)
        else:
            self.withdrawn[start, route].add(key)

    def expanded(self) -> ExpandedDiscounts:
        """Return what was written."""
        tables = tuple(
            PriceTable(
                source=DISCOUNT,
                layer=Layer.ACCOUNT,
                kind=TableKind.PATCH,
                effective_from=start,
                route=route,
                account_id=self.given[0].account_id,
                rates=tuple(self.rates.get((start, route), ())),
                withdrawn=frozenset(self.withdrawn.get((start, route), ())),
            )
            for start, route in sorted(self.rates.keys() | self.withdrawn.keys())
        )
        return ExpandedDiscounts(tables, self.prices, self.rounded, tuple(sorted(self.kept)))


_ROUNDED = ", rounded half up to whole pico-USD"


def _percent(share: int) -> str:
    whole, decimals = divmod(share, WHOLE // 100)
    return f"{whole}.{decimals:04d}".rstrip("0").rstrip(".") + " %"
