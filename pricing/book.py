"""The price book: which rate applies to a request.

By (account, route, provider, model, operation, instant, context). Which of several price lists decides is in ``precedence``,
what models are called is in ``names``; here answers are kept, so that the next request of the same kind is a bisection.
"""

from bisect import bisect_right
from collections.abc import Iterable

from pricing.bundled import bundled_aliases
from pricing.names import Aliases
from pricing.precedence import ListLookup, ListVersions, PriceList, Tiers, asked_about, sources_of, streams_of, tiers_in_force
from pricing.rates import Rate
from pricing.tables import PriceTable, RateKey

# Logs can name models without end; what is remembered of them must have one.
MAX_REMEMBERED = 65_536


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
        # What tier_for does, written out: a call here is a twelfth of the look-up.
        for rate in self.tiers[position - 1]:
            if context_tokens >= rate.context_from:
                return rate
        return None


class PriceBook:
    """All recorded price tables, immutable once built. Look-ups are remembered, so the hot path is a bisection.

    ``aliases`` are what is known of the providers' own names; the bundled ones when nothing is said.
    """

    def __init__(self, tables: Iterable[PriceTable], aliases: Aliases | None = None) -> None:
        self.tables: tuple[PriceTable, ...] = tuple(tables)
        self.streams: tuple[ListVersions, ...] = tuple(streams_of(self.tables))
        self.aliases = bundled_aliases() if aliases is None else aliases
        self._own_prices = {stream.account_id for stream in self.streams if stream.account_id is not None}
        self._sources: dict[tuple[int | None, str], list[PriceList]] = {}
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

        The model is named as the record states it. ``context_tokens`` is the size of the prompt, cached tokens included; the
        whole request is priced at its tier.
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

    def asked(self, account_id: int | None, route: str, what: RateKey) -> list[ListLookup]:
        """Return the sources that are asked about a request, in the order of precedence, and the name each knows it by."""
        viewer = (account_id if account_id in self._own_prices else None, route)
        sources = self._sources.get(viewer)
        if sources is None:
            if len(self._sources) >= MAX_REMEMBERED:
                self._sources.clear()
            sources = self._sources[viewer] = sources_of(self.streams, *viewer)
        return asked_about(sources, what, self.aliases)

    def starts(self, account_id: int | None, route: str, what: RateKey) -> list[int]:
        """Return the instants at which the answer may change, in their order."""
        return sorted({start for each in self.asked(account_id, route, what) for start in each.starts()})

    def _timeline(self, account_id: int | None, route: str, provider: str, model: str, operation: str) -> Timeline:
        what = (provider, model, operation)
        asked = [each for each in self.asked(account_id, route, what) if each.keys]
        starts = sorted({start for each in asked for start in each.starts()})
        return Timeline(starts, [tiers_in_force(asked, start) for start in starts])
