"""Which of several price lists decides: the one place that knows.

The account's own prices go before the operator's, before the route's own source, before the bundled. Among the account's, what
was agreed as a price goes before what a discount takes off others' prices. Among sources of one rank the price that became
valid last wins. A source that withdraws a model in one layer is not consulted about it in a lower one.
Each source is asked under the name by which it knows the model, so that spelling never changes the order.
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
"""The rates of one key from one instant, largest ``context_from`` first; empty means withdrawn."""


class TableEntry(NamedTuple):
    """What one table says of one key, and from when on: tiers, or none where it withdraws the key."""

    table: PriceTable
    tiers: Tiers

    @property
    def effective_from(self) -> int:
        """Since when it holds."""
        return self.table.effective_from

    @property
    def version(self) -> tuple[int, int, int]:
        """What orders words of one source: the instant, then what was recorded later."""
        return self.table.effective_from, self.table.recorded_at, self.table.id


class ListVersions:
    """The versions of one source in one layer for one route and account, as steps in time for each key."""

    def __init__(self, layer: Layer, route: str, account_id: int | None, source: str) -> None:
        self.layer = layer
        self.route = route
        self.account_id = account_id
        self.source = source
        self.steps: dict[RateKey, list[TableEntry]] = defaultdict(list)

    def add(self, table: PriceTable) -> None:
        """Add the next version; versions come in their order."""
        listed: dict[RateKey, list[Rate]] = defaultdict(list)
        for rate in table.rates:
            listed[key_of(rate)].append(rate)
        gone = set(table.withdrawn)
        if table.kind is TableKind.SNAPSHOT:
            gone |= self.steps.keys() - listed.keys()
        for key, rates in listed.items():
            self.steps[key].append(TableEntry(table, tuple(sorted(rates, key=lambda rate: -rate.context_from))))
        for key in gone:
            self.steps[key].append(TableEntry(table, ()))

    def in_force(self, key: RateKey, instant: int) -> TableEntry | None:
        """Return the last step that began at or before the instant; None before the source knew the key."""
        steps = self.steps.get(key, ())
        position = bisect_right(steps, instant, key=_start_of)
        return steps[position - 1] if position else None


Rank = tuple[Layer, bool]


def rank_of(layer: Layer, source: str) -> Rank:
    """Return where a source stands, lowest first: by its layer, and an account's discount after its other prices."""
    return layer, layer is Layer.ACCOUNT and source == DISCOUNT


def _start_of(step: TableEntry) -> int:
    return step.effective_from


def streams_of(tables: Iterable[PriceTable]) -> list[ListVersions]:
    """Return the streams of the tables in the order of their ranks, then by source and route."""
    streams: dict[tuple[Layer, str, int | None, str], ListVersions] = {}
    for table in sorted(tables, key=_order):
        identity = (table.layer, table.route, table.account_id, table.source)
        if identity not in streams:
            streams[identity] = ListVersions(*identity)
        streams[identity].add(table)
    return sorted(streams.values(), key=_place)


def _place(stream: ListVersions) -> tuple[Rank, str, str, int]:
    return rank_of(stream.layer, stream.source), stream.source, stream.route, stream.account_id or 0


def _order(table: PriceTable) -> tuple[int, int, int, str]:
    """By instant, then by when it was recorded. A table without an id is not recorded yet and is ordered by its content."""
    return table.effective_from, table.recorded_at, table.id, "" if table.id else table.digest


class PriceList:
    """One source in one layer, with the streams of it that are visible to a request."""

    def __init__(self, layer: Layer, source: str, streams: Sequence[ListVersions]) -> None:
        self.layer = layer
        self.source = source
        self.rank = rank_of(layer, source)
        self.streams = tuple(streams)
        self.names = ListedNames()
        for stream in streams:
            for provider, model, _ in stream.steps:
                self.names.add(provider, model)


def sources_of(streams: Iterable[ListVersions], account_id: int | None, route: str) -> list[PriceList]:
    """Return who is asked about a request of an account and route, in the order of precedence."""
    visible = (stream for stream in streams if stream.route in (ANY_ROUTE, route) and stream.account_id in (None, account_id))
    return [PriceList(*key, list(same)) for key, same in groupby(visible, key=lambda stream: (stream.layer, stream.source))]


class ListLookup(NamedTuple):
    """A source that is asked, the name under which it knows the model, and the keys to look under, most specific first."""

    source: PriceList
    name: ResolvedName
    keys: tuple[RateKey, ...]

    def starts(self) -> Iterator[int]:
        """Yield the instants at which this source says something."""
        for stream in self.source.streams:
            for key in self.keys:
                for step in stream.steps.get(key, ()):
                    yield step.effective_from

    def next_start(self, instant: int) -> int | None:
        """Return when this source says something again after an instant."""
        return min((start for start in self.starts() if start > instant), default=None)


def asked_about(sources: Iterable[PriceList], what: RateKey, aliases: Aliases) -> list[ListLookup]:
    """Return the sources with the name under which each knows the model of ``what`` (provider, model, operation)."""
    provider, stated, operation = what
    operations = (operation,) if operation == ANY_OPERATION else (operation, ANY_OPERATION)
    found = []
    for source in sources:
        name = source.names.resolve(provider, stated, aliases)
        keys = tuple((provider, name.model, each) for each in operations) if name.model is not None else ()
        found.append(ListLookup(source, name, keys))
    return found


class QuoteOutcome(StrEnum):
    """What became of a source's word at an instant."""

    WINS = "wins"
    OUTRANKED = "outranked"
    OLDER = "older"
    WITHDRAWN = "withdrawn"
    WITHDRAWN_ABOVE = "withdrawn_above"
    NOT_YET = "not_yet"
    AMBIGUOUS = "ambiguous"
    NOT_LISTED = "not_listed"


class ListQuote(Struct, frozen=True):
    """What a source says at an instant, and what that counts for."""

    asked: ListLookup
    step: TableEntry | None
    standing: QuoteOutcome


def decide(asked: Sequence[ListLookup], instant: int) -> list[ListQuote]:
    """Return every source's word at an instant, in the order in which they are asked; at most one of them wins."""
    withdrawn: set[str] = set()
    words: list[ListQuote] = []
    best = -1
    for position, each in enumerate(asked):
        source, step = each.source, _last_word(each, instant)
        if step is None:
            standing = _silence(each)
        elif source.source in withdrawn:
            standing = QuoteOutcome.WITHDRAWN_ABOVE
        elif not step.tiers:
            withdrawn.add(source.source)
            standing = QuoteOutcome.WITHDRAWN
        elif best < 0:
            best, standing = position, QuoteOutcome.WINS
        elif words[best].asked.source.rank != source.rank:
            standing = QuoteOutcome.OUTRANKED
        else:
            standing = QuoteOutcome.OLDER
            leader = words[best]
            if leader.step is not None and step.version > leader.step.version:
                words[best] = ListQuote(leader.asked, leader.step, QuoteOutcome.OLDER)
                best, standing = position, QuoteOutcome.WINS
        words.append(ListQuote(each, step, standing))
    return words


def tiers_in_force(asked: Sequence[ListLookup], instant: int) -> Tiers:
    """Return the tiers of the word that wins; empty where none does."""
    return next((word.step.tiers for word in decide(asked, instant) if word.step and word.standing is QuoteOutcome.WINS), ())


def tier_for(tiers: Tiers, context_tokens: int) -> Rate | None:
    """Return the tier of a prompt's size, None where it is below the lowest."""
    for rate in tiers:
        if context_tokens >= rate.context_from:
            return rate
    return None


def _silence(asked: ListLookup) -> QuoteOutcome:
    if asked.name.match is NameMatch.AMBIGUOUS:
        return QuoteOutcome.AMBIGUOUS
    return QuoteOutcome.NOT_YET if any(True for _ in asked.starts()) else QuoteOutcome.NOT_LISTED


def _last_word(asked: ListLookup, instant: int) -> TableEntry | None:
    """Return what one source says at an instant: its last word on the most specific key that it prices.

    A table of one route and a table of any route are words of the same source; at the same instant the one for the route
    counts. An empty step is a withdrawal, None a source that does not know the model yet.
    """
    last_words = []
    for key in asked.keys:
        steps = [step for stream in asked.source.streams if (step := stream.in_force(key, instant)) is not None]
        if steps:
            last_words.append(max(reversed(steps), key=lambda step: step.version))
    return next((step for step in last_words if step.tiers), last_words[0] if last_words else None)
