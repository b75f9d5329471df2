"""The price book: which rate applies to a request.

A rate is found by account, route, provider, model, operation, instant and prompt size. ``own_names`` says which model a name
means, ``precedence`` decides between price lists, and ``names`` finds each list's name for the model. Results are cached, so
that the next lookup of the same kind is a bisection.
"""

from bisect import bisect_right
from collections.abc import Iterable

from pricing.bundled import bundled_aliases
from pricing.names import Aliases
from pricing.own_names import OwnNames
from pricing.precedence import (
    ListLookup,
    ListVersions,
    PriceList,
    Tiers,
    look_up,
    tiers_in_force,
    versions_by_list,
    visible_lists,
)
from pricing.rates import Rate
from pricing.tables import PriceTable, RateKey

# Logs can name any number of models, so the caches need a bound.
MAX_CACHED = 65_536


class Timeline:
    """What one (account, route, provider, model, operation) costs over time: instants, and the tiers from each on."""

    __slots__ = ("starts", "tiers")

    def __init__(self, starts: list[int], tiers: list[Tiers]) -> None:
        self.starts = starts
        self.tiers = tiers

    def rate_at(self, instant: int, context_tokens: int) -> Rate | None:
        """Return the rate at ``instant`` (microseconds UTC) for a prompt of ``context_tokens`` tokens, or None."""
        position = bisect_right(self.starts, instant)
        if not position:
            return None
        # Inlined tier_for: calling it here would cost a twelfth of the lookup.
        for rate in self.tiers[position - 1]:
            if context_tokens >= rate.context_from:
                return rate
        return None

    def tiers_between(self, start: int, end: int) -> list[Tiers]:
        """Return the tiers that were in force at some time in ``[start, end)`` (microseconds UTC)."""
        first = max(0, bisect_right(self.starts, start) - 1)
        in_force = [tiers for begin, tiers in zip(self.starts[first:], self.tiers[first:], strict=True) if begin < end]
        return [tiers for tiers in in_force if tiers]


class PriceBook:
    """All recorded price tables, immutable once built, with cached lookups.

    ``aliases`` are other names of models. Default: the bundled ones. ``own_names`` come before them.
    """

    def __init__(self, tables: Iterable[PriceTable], aliases: Aliases | None = None, own_names: OwnNames | None = None) -> None:
        self.tables: tuple[PriceTable, ...] = tuple(tables)
        self.versions: tuple[ListVersions, ...] = tuple(versions_by_list(self.tables))
        self.aliases = bundled_aliases() if aliases is None else aliases
        self.own_names = OwnNames() if own_names is None else own_names
        self._accounts = {each.account_id for each in self.versions if each.account_id is not None}
        self._lists: dict[tuple[int | None, str], list[PriceList]] = {}
        self._timelines: dict[tuple[int | None, str, str, str, str], Timeline] = {}
        self._rates = {rate.id: rate for table in self.tables for rate in table.rates if rate.id}

    def rate_for(
        self,
        account_id: int | None,
        route: str,
        key: RateKey,
        instant: int,
        context_tokens: int = 0,
    ) -> Rate | None:
        """Return the rate for ``key`` (provider, model, operation) at ``instant`` (microseconds UTC), or None.

        The model is named as the record states it. ``context_tokens`` is the size of the prompt, cached tokens included; it
        selects the tier, which applies to the whole request.
        """
        return self.timeline(account_id, route, key).rate_at(instant, context_tokens)

    def timeline(self, account_id: int | None, route: str, key: RateKey) -> Timeline:
        """Return all rates for ``key`` over time, for callers that look up many instants."""
        cached = (account_id if account_id in self._accounts else None, route, *key)
        timeline = self._timelines.get(cached)
        if timeline is None:
            if len(self._timelines) >= MAX_CACHED:
                self._timelines.clear()
            timeline = self._timelines[cached] = self._timeline(*cached)
        return timeline

    def rate(self, rate_id: int) -> Rate:
        """Return a recorded rate by the id that charges refer to. Raises KeyError for an id that is not recorded."""
        return self._rates[rate_id]

    def lookups(self, account_id: int | None, route: str, key: RateKey) -> list[ListLookup]:
        """Return how each price list is searched for ``key``, in order of precedence. Names of one's own are not applied."""
        cached = (account_id if account_id in self._accounts else None, route)
        price_lists = self._lists.get(cached)
        if price_lists is None:
            if len(self._lists) >= MAX_CACHED:
                self._lists.clear()
            price_lists = self._lists[cached] = visible_lists(self.versions, *cached)
        return look_up(price_lists, key, self.aliases)

    def _timeline(self, account_id: int | None, route: str, provider: str, model: str, operation: str) -> Timeline:
        own = self.own_names.of(provider, model)
        lookups_of = {
            name: [lookup for lookup in self.lookups(account_id, route, (provider, name, operation)) if lookup.keys]
            for name in {model, *(each.model for each in own)}
        }
        starts = {start for lookups in lookups_of.values() for lookup in lookups for start in lookup.starts()}
        starts |= {each.valid_from for each in own} | {each.valid_until for each in own if each.valid_until is not None}
        ordered = sorted(starts)
        meant = [next((each.model for each in own if each.covers(start)), model) for start in ordered]
        return Timeline(ordered, [tiers_in_force(lookups_of[name], start) for name, start in zip(meant, ordered, strict=True)])
