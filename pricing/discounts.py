"""Discounts: a percentage off the list prices, expanded into the account's own price tables.

Of an account's discounts, the one recorded last applies to every price it covers, from its effective instant on. Expanding
computes the account's prices from the discounts and the base prices (those of the layers below the account's), for every known
instant at which either changes, and returns tables with what differs from the tables written before. So a discount has
versions that can be shown and explained like any other price, expanding again with nothing new adds nothing, and a changed
base price is followed from its effective instant on. Prices that the account has from other lists take precedence.

A price that is not a whole number of pico-USD is rounded to the nearest, halves up.
"""

import re
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

# Discounts are written as one table per route, never as a table for any route. Otherwise, when the base price of one route
# changes, a table for that route and a table for any route would override each other.
ROUTES = ("routed", "provider_key", "serverless", "unknown")


class Discount(Struct, frozen=True, kw_only=True):
    """A discount of ``share`` millionths (12.5 % is 125,000) on an account's prices, or on one provider's or model's.

    ``effective_from`` is in microseconds UTC. A share of 0 ends an earlier discount from that instant on.
    """

    account_id: int
    share: int
    effective_from: int
    provider: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share <= WHOLE:
            raise InvalidDiscountError(f"a discount must be from 0 to 100 percent, got {format_percent(self.share)} %")


class ExpandedDiscounts(Struct, frozen=True):
    """The price tables to record, and how many prices the requested discount covers.

    ``rounded`` counts those that were not a whole number of pico-USD. ``kept`` are the keys for which the account already has a
    price, which takes precedence.
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


def format_percent(share: int) -> str:
    """Write millionths as a percentage: ``12.5``."""
    whole, decimals = divmod(share, WHOLE // 100)
    return f"{whole}.{decimals:04d}".rstrip("0").rstrip(".")


def base_version(provenance: str) -> int | None:
    """Return the id of the price table that a discounted rate was computed from, as its ``source`` states it."""
    matched = _PROVENANCE.match(provenance)
    return int(matched[1]) if matched else None


class BasePrices:
    """The prices of accounts that have no account prices: the layers below the account's."""

    def __init__(self, tables: Iterable[PriceTable], aliases: Aliases | None = None) -> None:
        self.book = PriceBook((table for table in tables if table.layer is not Layer.ACCOUNT), aliases)
        self._entries: dict[tuple[str, RateKey, int], list[tuple[int, TableEntry | None]]] = {}

    def entries(self, route: str, key: RateKey, since: int) -> list[tuple[int, TableEntry | None]]:
        """Return the entry in force at ``since`` and at each later change; None where there is no price."""
        found = self._entries.get((route, key, since))
        if found is None:
            lookups = self.book.lookups(None, route, key)
            starts = sorted({since, *(start for lookup in lookups for start in lookup.starts() if start > since)})
            found = [
                (start, next((quote.entry for quote in decide(lookups, start) if quote.outcome is QuoteOutcome.WINS), None))
                for start in starts
            ]
            self._entries[route, key, since] = found
        return found

    def covered_by(self, discount: Discount) -> set[tuple[str, RateKey]]:
        """Return the routes and keys that a discount covers; a model under all its names."""
        return {(route, key) for route in ROUTES for key in self._keys(route, discount)}

    def _keys(self, route: str, discount: Discount) -> set[RateKey]:
        keys = {
            key
            for versions in self.book.versions
            if versions.route in (ANY_ROUTE, route)
            for key in versions.entries
            if discount.provider in (None, key[0])
        }
        if discount.model is None:
            return keys
        named = {
            (provider, lookup.name.model)
            for provider in {key[0] for key in keys}
            for lookup in self.book.lookups(None, route, (provider, discount.model, ANY_OPERATION))
            if lookup.name.model is not None
        }
        alike = {(provider, other) for provider, name in named for other in self.book.aliases.of(provider, name)} | named
        lowered = {(provider, name.casefold()) for provider, name in alike}
        return {key for key in keys if (key[0], key[1].casefold()) in lowered}


def is_in_effect(base: BasePrices, recorded: Sequence[Discount], requested: Discount) -> bool:
    """Whether a discount equals the last one recorded for any price it covers; ``recorded`` in order of recording.

    Raises InvalidDiscountError if no list has a price to discount.
    """
    covered = base.covered_by(requested)
    if not covered:
        named = " at ".join(name for name in (requested.model, requested.provider) if name) or "any model"
        raise InvalidDiscountError(f"no price list has a price for {named}, so there is nothing to discount")
    return next((each for each in reversed(recorded) if base.covered_by(each) & covered), None) == requested


def changed_since(fresh: Iterable[PriceTable], others: Iterable[PriceTable]) -> int | None:
    """Return the earliest instant at which adding ``fresh`` tables to ``others`` can change base prices; None: any instant.

    A name that is new to a list can change which of its names a model is looked up under, at every instant.
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
    own_tables: Iterable[PriceTable],
    discounts: Sequence[Discount],
    *,
    requested: Discount | None = None,
    since: int | None = None,
) -> ExpandedDiscounts:
    """Return the price tables to record so that one account's discounts apply; ``discounts`` in order of recording.

    ``own_tables`` are all price tables of the account. ``requested`` is the discount whose prices are counted. With ``since``,
    only instants from then on are computed: base prices before it are unchanged, so what was written for them stays correct.
    """
    own = list(own_tables)
    writer = _PriceWriter(
        base,
        discounts,
        requested,
        own=PriceBook((table for table in own if table.source != DISCOUNT), base.book.aliases),
        written=PriceBook((table for table in own if table.source == DISCOUNT), Aliases()),
    )
    applicable: dict[tuple[str, RateKey], list[Discount]] = defaultdict(list)
    for discount in discounts:
        for covered in base.covered_by(discount):
            applicable[covered].append(discount)
    for (route, key), covering in sorted(applicable.items()):
        writer.write(route, key, covering, since)
    return writer.expanded()


class _PriceWriter(Struct):
    """Collects the price of each key from each instant on, where it differs from what is written."""

    base: BasePrices
    discounts: Sequence[Discount]
    requested: Discount | None
    own: PriceBook
    written: PriceBook
    rates: dict[tuple[int, str], list[Rate]] = field(default_factory=lambda: defaultdict(list))
    withdrawn: dict[tuple[int, str], set[RateKey]] = field(default_factory=lambda: defaultdict(set))
    prices: int = 0
    rounded: int = 0
    kept: set[RateKey] = field(default_factory=set)

    def write(self, route: str, key: RateKey, discounts: Sequence[Discount], since: int | None) -> None:
        """Write one key on one route wherever its price differs from the written one."""
        first = min(discount.effective_from for discount in discounts)
        begin = first if since is None else max(first, since)
        written = self._written(route, key)
        in_force: TableEntry | None = None
        position, new, before = 0, None, None
        for start, entry, discount in self._course(route, key, discounts, begin, written):
            while position < len(written) and written[position].effective_from <= start:
                in_force, position = written[position], position + 1
                # An entry written for a later instant replaces the new price from that instant on.
                new = None
            tiers = () if entry is None or not discount.share else self._discounted(key, entry, discount)
            if discount == self.requested:
                self._count(tiers, before)
            before = tiers
            current = new if new is not None else None if in_force is None else in_force.tiers
            # A key without a price is written too: the discount's list has to contain every name that the lists below contain,
            # or it would resolve one name as another.
            if current is None or not same_prices(current, tiers):
                new = tiers
                self._put(start, route, key, tiers)
        if self.requested in discounts and self._keeps(route, key):
            self.kept.add(key)

    def _written(self, route: str, key: RateKey) -> list[TableEntry]:
        versions = self.written.versions
        return next((each.entries[key] for each in versions if each.route == route and key in each.entries), [])

    def _course(
        self, route: str, key: RateKey, discounts: Sequence[Discount], begin: int, written: Sequence[TableEntry]
    ) -> Iterator[tuple[int, TableEntry | None, Discount]]:
        """Yield every instant at which the price may change, with the base entry and the discount in force then."""
        entries = self.base.entries(route, key, begin)
        starts = {start for start, _ in entries} | {entry.effective_from for entry in written if entry.effective_from > begin}
        starts |= {discount.effective_from for discount in discounts if discount.effective_from > begin}
        position = 0
        for start in sorted(starts):
            while position + 1 < len(entries) and entries[position + 1][0] <= start:
                position += 1
            discount = next(discount for discount in reversed(discounts) if discount.effective_from <= start)
            yield start, entries[position][1], discount

    def _count(self, tiers: Tiers, before: Tiers | None) -> None:
        if before is None or not same_prices(before, tiers):
            self.prices += len(tiers)
            self.rounded += sum(_ROUNDED in rate.source for rate in tiers)

    def _keeps(self, route: str, key: RateKey) -> bool:
        """Whether the account's own price takes the place of a discounted one at any instant."""
        if self.requested is None or not self.own.versions:
            return False
        first = self.requested.effective_from
        lookups = self.own.lookups(self.requested.account_id, route, key)
        entries = self.base.entries(route, key, first)
        starts = {start for lookup in lookups for start in lookup.starts() if start > first} | {start for start, _ in entries}
        return any(
            tiers_in_force(lookups, start) and next(entry for begin, entry in reversed(entries) if begin <= start) is not None
            for start in starts
        )

    def _discounted(self, key: RateKey, entry: TableEntry, discount: Discount) -> Tiers:
        provider, model, operation = key
        left = WHOLE - discount.share
        tiers = []
        for rate in entry.tiers:
            scaled = {kind: price.pico * left for kind, price in rate.prices.items()}
            note = _ROUNDED if any(pico % WHOLE for pico in scaled.values()) else ""
            percent = format_percent(discount.share)
            source = f"{percent} % off version {entry.table.id} of {entry.table.source}{note}: {rate.source}"
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
        """Return the collected prices as tables."""
        tables = tuple(
            PriceTable(
                source=DISCOUNT,
                layer=Layer.ACCOUNT,
                kind=TableKind.PATCH,
                effective_from=start,
                route=route,
                account_id=self.discounts[0].account_id,
                rates=tuple(self.rates.get((start, route), ())),
                withdrawn=frozenset(self.withdrawn.get((start, route), ())),
            )
            for start, route in sorted(self.rates.keys() | self.withdrawn.keys())
        )
        return ExpandedDiscounts(tables, self.prices, self.rounded, tuple(sorted(self.kept)))


_ROUNDED = ", rounded half up to whole pico-USD"
_PROVENANCE = re.compile(r"[0-9.]+ % off version ([0-9]+) of ")
