"""Which of several price lists decides the price of a request.

An account's own prices come first, then the operator's, then the route's source, then the bundled lists. Among an account's own
lists, agreed prices come before its discounts. Between lists of equal rank, the price with the latest effective date wins. A
source that withdraws a model in one layer is not consulted about that model in lower layers.

Each list is searched under its own name for the model, so spelling never changes the order.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct

from pricing.names import Aliases, ListedNames, NameMatch, ResolvedName
from pricing.rates import ANY_OPERATION, Rate
from pricing.tables import ANY_ROUTE, DISCOUNT, Layer, PriceTable, RateKey, TableKind, key_of

Tiers = tuple[Rate, ...]
"""The rates of one key from one instant on, largest ``context_from`` first; empty means withdrawn."""


class TableEntry(NamedTuple):
    """One table's entry for one key: its tiers, or none where the table withdraws the key."""

    table: PriceTable
    tiers: Tiers

    @property
    def effective_from(self) -> int:
        """When the entry takes effect."""
        return self.table.effective_from

    @property
    def recency(self) -> tuple[int, int, int]:
        """Order of entries: by effective instant, then by when they were recorded."""
        return self.table.effective_from, self.table.recorded_at, self.table.id


class ListVersions:
    """All versions of one source in one layer for one route and account: for each key, its entries in order of time."""

    def __init__(self, layer: Layer, route: str, account_id: int | None, source: str) -> None:
        self.layer = layer
        self.route = route
        self.account_id = account_id
        self.source = source
        self.entries: dict[RateKey, list[TableEntry]] = defaultdict(list)

    def add(self, table: PriceTable) -> None:
        """Add the next version. Versions are added in chronological order."""
        listed: dict[RateKey, list[Rate]] = defaultdict(list)
        for rate in table.rates:
            listed[key_of(rate)].append(rate)
        withdrawn = set(table.withdrawn)
        if table.kind is TableKind.SNAPSHOT:
            withdrawn |= self.entries.keys() - listed.keys()
        for key, rates in listed.items():
            self.entries[key].append(TableEntry(table, tuple(sorted(rates, key=lambda rate: -rate.context_from))))
        for key in withdrawn:
            self.entries[key].append(TableEntry(table, ()))

    def in_force(self, key: RateKey, instant: int) -> TableEntry | None:
        """Return the entry in force at an instant; None before the source's first entry for the key."""
        entries = self.entries.get(key, ())
        position = bisect_right(entries, instant, key=_start_of)
        return entries[position - 1] if position else None


Rank = tuple[Layer, bool]


def rank_of(layer: Layer, source: str) -> Rank:
    """Return a list's rank, lowest first: by layer, and within the account's layer its discounts last."""
    return layer, layer is Layer.ACCOUNT and source == DISCOUNT


def _start_of(entry: TableEntry) -> int:
    return entry.effective_from


def versions_by_list(tables: Iterable[PriceTable]) -> list[ListVersions]:
    """Group tables by source, layer, route and account; return the groups by rank, then by source and route."""
    grouped: dict[tuple[Layer, str, int | None, str], ListVersions] = {}
    for table in sorted(tables, key=_chronologically):
        identity = (table.layer, table.route, table.account_id, table.source)
        if identity not in grouped:
            grouped[identity] = ListVersions(*identity)
        grouped[identity].add(table)
    return sorted(grouped.values(), key=_by_rank)


def _by_rank(versions: ListVersions) -> tuple[Rank, str, str, int]:
    return rank_of(versions.layer, versions.source), versions.source, versions.route, versions.account_id or 0


def _chronologically(table: PriceTable) -> tuple[int, int, int, str]:
    """Order by effective instant, then by when the table was recorded. Unrecorded tables are ordered by content."""
    return table.effective_from, table.recorded_at, table.id, "" if table.id else table.digest


class PriceList:
    """One source in one layer, with those of its versions that apply to a request's account and route."""

    def __init__(self, layer: Layer, source: str, versions: Sequence[ListVersions]) -> None:
        self.layer = layer
        self.source = source
        self.rank = rank_of(layer, source)
        self.versions = tuple(versions)
        self.names = ListedNames()
        for each in versions:
            for provider, model, _ in each.entries:
                self.names.add(provider, model)


def visible_lists(versions: Iterable[ListVersions], account_id: int | None, route: str) -> list[PriceList]:
    """Return the price lists that apply to requests of an account and route, in order of precedence."""
    visible = (each for each in versions if each.route in (ANY_ROUTE, route) and each.account_id in (None, account_id))
    return [PriceList(*key, list(same)) for key, same in groupby(visible, key=lambda each: (each.layer, each.source))]


class ListLookup(NamedTuple):
    """How a model is looked up in one price list: the list's name for it, and the keys to try, most specific first."""

    price_list: PriceList
    name: ResolvedName
    keys: tuple[RateKey, ...]

    def starts(self) -> Iterator[int]:
        """Yield the instants at which an entry for the model takes effect."""
        for versions in self.price_list.versions:
            for key in self.keys:
                for entry in versions.entries.get(key, ()):
                    yield entry.effective_from

    def next_start(self, instant: int) -> int | None:
        """Return when the next entry after an instant takes effect."""
        return min((start for start in self.starts() if start > instant), default=None)


def look_up(price_lists: Iterable[PriceList], key: RateKey, aliases: Aliases) -> list[ListLookup]:
    """Return, for each list, how the model of ``key`` (provider, model, operation) is looked up in it."""
    provider, stated, operation = key
    operations = (operation,) if operation == ANY_OPERATION else (operation, ANY_OPERATION)
    lookups = []
    for price_list in price_lists:
        name = price_list.names.resolve(provider, stated, aliases)
        keys = tuple((provider, name.model, each) for each in operations) if name.model is not None else ()
        lookups.append(ListLookup(price_list, name, keys))
    return lookups


class QuoteOutcome(StrEnum):
    """Whether a list's entry decides the price at an instant, or why it does not."""

    WINS = "wins"
    OUTRANKED = "outranked"
    OLDER = "older"
    WITHDRAWN = "withdrawn"
    WITHDRAWN_ABOVE = "withdrawn_above"
    NOT_YET = "not_yet"
    AMBIGUOUS = "ambiguous"
    NOT_LISTED = "not_listed"


class ListQuote(Struct, frozen=True):
    """A list's entry for a request at an instant, and its outcome."""

    lookup: ListLookup
    entry: TableEntry | None
    outcome: QuoteOutcome


def decide(lookups: Sequence[ListLookup], instant: int) -> list[ListQuote]:
    """Return every list's quote at an instant, in order of precedence; at most one of them wins."""
    withdrawn: set[str] = set()
    quotes: list[ListQuote] = []
    best = -1
    for position, lookup in enumerate(lookups):
        price_list, entry = lookup.price_list, _entry_at(lookup, instant)
        if entry is None:
            outcome = _outcome_without_entry(lookup)
        elif price_list.source in withdrawn:
            outcome = QuoteOutcome.WITHDRAWN_ABOVE
        elif not entry.tiers:
            withdrawn.add(price_list.source)
            outcome = QuoteOutcome.WITHDRAWN
        elif best < 0:
            best, outcome = position, QuoteOutcome.WINS
        elif quotes[best].lookup.price_list.rank != price_list.rank:
            outcome = QuoteOutcome.OUTRANKED
        else:
            outcome = QuoteOutcome.OLDER
            leader = quotes[best]
            if leader.entry is not None and entry.recency > leader.entry.recency:
                quotes[best] = ListQuote(leader.lookup, leader.entry, QuoteOutcome.OLDER)
                best, outcome = position, QuoteOutcome.WINS
        quotes.append(ListQuote(lookup, entry, outcome))
    return quotes


def tiers_in_force(lookups: Sequence[ListLookup], instant: int) -> Tiers:
    """Return the tiers of the quote that wins; empty where none does."""
    quotes = decide(lookups, instant)
    return next((quote.entry.tiers for quote in quotes if quote.entry and quote.outcome is QuoteOutcome.WINS), ())


def tier_for(tiers: Tiers, context_tokens: int) -> Rate | None:
    """Return the tier for a prompt of so many tokens; None below the lowest tier."""
    for rate in tiers:
        if context_tokens >= rate.context_from:
            return rate
    return None


def _outcome_without_entry(lookup: ListLookup) -> QuoteOutcome:
    if lookup.name.match is NameMatch.AMBIGUOUS:
        return QuoteOutcome.AMBIGUOUS
    return QuoteOutcome.NOT_YET if any(True for _ in lookup.starts()) else QuoteOutcome.NOT_LISTED


def _entry_at(lookup: ListLookup, instant: int) -> TableEntry | None:
    """Return a list's entry in force at an instant, for the most specific key that it prices.

    Tables for one route and tables for any route belong to the same list; at the same instant the table for the route applies.
    An entry without tiers is a withdrawal; None means that the list has no entry for the model yet.
    """
    newest = []
    for key in lookup.keys:
        entries = [entry for each in lookup.price_list.versions if (entry := each.in_force(key, instant)) is not None]
        if entries:
            newest.append(max(reversed(entries), key=lambda entry: entry.recency))
    return next((entry for entry in newest if entry.tiers), newest[0] if newest else None)
