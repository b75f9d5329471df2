"""The price book: which rate applies to a request.

By (account, route, provider, model, operation, instant, context), in this order of precedence: the account's own prices,
the operator's, the route's own source, bundled. Among sources of one layer the price that became valid last wins. A source
that withdraws a model in one layer is not consulted about it in a lower one.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby

from pricing.rates import ANY_OPERATION, Rate
from pricing.tables import ANY_ROUTE, Layer, PriceTable, RateKey, TableKind, key_of

# Logs can name models without end; what is remembered of them must have one.
MAX_REMEMBERED = 65_536

Tiers = tuple[Rate, ...]
"""The rates of one key from one instant, largest ``context_from`` first; empty means withdrawn."""

_Step = tuple[int, int, int, Tiers]
"""(effective_from, recorded_at, table id, tiers)."""


class _Stream:
    """The versions of one source in one layer, as steps in time for each key."""

    def __init__(self, layer: Layer, route: str, account_id: int | None, source: str) -> None:
        self.layer = layer
        self.route = route
        self.account_id = account_id
        self.source = source
        self.steps: dict[RateKey, list[_Step]] = defaultdict(list)

    def add(self, table: PriceTable) -> None:
        version = (table.effective_from, table.recorded_at, table.id)
        listed: dict[RateKey, list[Rate]] = defaultdict(list)
        for rate in table.rates:
            listed[key_of(rate)].append(rate)
        gone = set(table.withdrawn)
        if table.kind is TableKind.SNAPSHOT:
            gone |= self.steps.keys() - listed.keys()
        for key, rates in listed.items():
            self.steps[key].append((*version, tuple(sorted(rates, key=lambda rate: -rate.context_from))))
        for key in gone:
            self.steps[key].append((*version, ()))

    def in_force(self, key: RateKey, instant: int) -> _Step | None:
        """Return the last step that began at or before the instant; None before the source knew the key."""
        current = None
        for step in self.steps.get(key, ()):
            if step[0] > instant:
                break
            current = step
        return current


class Timeline:
    """What applies to one (account, route, provider, model, operation), as instants and the tiers from each on."""

    __slots__ = ("starts", "tiers")

    def __init__(self, starts: list[int], tiers: list[Tiers]) -> None:
        self.starts = starts
        self.tiers = tiers

    def rate_at(self, instant: int, context_tokens: int) -> Rate | None:
        """Return the rate at ``instant`` (microseconds UTC) for a prompt of so many tokens, or None."""
        position = bisect_right(self.starts, instant)
        if not position:
            return None
        for rate in self.tiers[position - 1]:
            if context_tokens >= rate.context_from:
                return rate
        return None


class PriceBook:
    """All recorded price tables, immutable once built. Look-ups are remembered, so the hot path is a bisection."""

    def __init__(self, tables: Iterable[PriceTable]) -> None:
        self.tables: tuple[PriceTable, ...] = tuple(sorted(tables, key=_order))
        streams: dict[tuple[Layer, str, int | None, str], _Stream] = {}
        for table in self.tables:
            identity = (table.layer, table.route, table.account_id, table.source)
            if identity not in streams:
                streams[identity] = _Stream(*identity)
            streams[identity].add(table)
        self._streams = sorted(streams.values(), key=lambda stream: (stream.layer, stream.source, stream.route))
        self._own_prices = {stream.account_id for stream in self._streams if stream.account_id is not None}
        self._timelines: dict[tuple[int | None, str, str, str, str], Timeline] = {}
        self._rates = {rate.id: rate for table in self.tables for rate in table.rates if rate.id}

    def rate_for(
        self,
        account_id: int | None,
        route: str,
        what: RateKey,
        instant: int,
        context_tokens: int = 0,
    ) -> Rate | None:
        """Return the rate for ``what`` (provider, model, operation) at ``instant`` (microseconds UTC), or None.

        ``context_tokens`` is the size of the prompt, cached tokens included; the whole request is priced at its tier.
        """
        return self.timeline(account_id, route, what).rate_at(instant, context_tokens)

    def timeline(self, account_id: int | None, route: str, what: RateKey) -> Timeline:
        """Return what applies to ``what`` through all time, for who looks up many instants of the same."""
        key = (account_id if account_id in self._own_prices else None, route, *what)
        timeline = self._timelines.get(key)
        if timeline is None:
            if len(self._timelines) >= MAX_REMEMBERED:
                self._timelines.clear()
            timeline = self._timelines[key] = self._timeline(*key)
        return timeline

    def rate(self, rate_id: int) -> Rate:
        """Return a recorded rate by the id that a charge remembers. Raises KeyError for an id that is not recorded."""
        return self._rates[rate_id]

    def _timeline(self, account_id: int | None, route: str, provider: str, model: str, operation: str) -> Timeline:
        keys = [(provider, model, operation)]
        if operation != ANY_OPERATION:
            keys.append((provider, model, ANY_OPERATION))
        streams = [
            stream
            for stream in self._streams
            if stream.route in (ANY_ROUTE, route)
            and stream.account_id in (None, account_id)
            and any(key in stream.steps for key in keys)
        ]
        starts = sorted({step[0] for stream in streams for key in keys for step in stream.steps.get(key, ())})
        return Timeline(starts, [_winner(streams, keys, start) for start in starts])


def _order(table: PriceTable) -> tuple[int, int, int, str]:
    """By instant, then by when it was recorded. A table without an id is not recorded yet and is ordered by its content."""
    return table.effective_from, table.recorded_at, table.id, "" if table.id else table.digest


def _winner(streams: list[_Stream], keys: list[RateKey], instant: int) -> Tiers:
    """Return the tiers that apply at an instant; ``streams`` are in the order of precedence, ``keys`` most specific first."""
    withdrawn: set[str] = set()
    best: _Step | None = None
    best_layer: Layer | None = None
    for (layer, source), same in groupby(streams, key=lambda stream: (stream.layer, stream.source)):
        if best is not None and layer is not best_layer:
            break
        step = None if source in withdrawn else _in_force(list(same), keys, instant)
        if step is None:
            continue
        if not step[3]:
            withdrawn.add(source)
        elif best is None or step[:3] > best[:3]:
            best, best_layer = step, layer
    return best[3] if best is not None else ()


def _in_force(streams: list[_Stream], keys: list[RateKey], instant: int) -> _Step | None:
    """Return what one source says at an instant: its last word on the most specific key that it prices.

    A table of one route and a table of any route are words of the same source; at the same instant the one for the route
    counts. An empty step is a withdrawal, None a source that does not know the model yet.
    """
    last_words = []
    for key in keys:
        steps = [step for stream in streams if (step := stream.in_force(key, instant)) is not None]
        if steps:
            last_words.append(max(reversed(steps), key=lambda step: step[:3]))
    return next((step for step in last_words if step[3]), last_words[0] if last_words else None)
