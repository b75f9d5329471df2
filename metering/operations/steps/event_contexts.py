"""Resolve what the events of a batch share: account, route, series, rate. Once per combination, not once per event.

The exception is an account name that was transferred: which account it means depends on the event's time.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.texts import replace_control_characters
from metering.domain.usage.batches import Batch, Dimensions
from metering.domain.usage.charging import is_billable, route_of
from metering.domain.usage.events import UNKNOWN
from metering.domain.usage.identity import account_mask
from metering.domain.usage.series import OTHER, SeriesKey
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.resolve_accounts import BillingAccount, ResolvedNames

# Records can name any number of projects and keys, so the cache is bounded.
MAX_CACHED = 16_384

_Pair = tuple[int, BillingAccount]
"""A position among the batch's dimensions, and the account its events are billed to."""


class EventContext(Struct, frozen=True, eq=False):
    """What all events with the same dimensions and account share.

    ``stated_route`` is empty where the records state no route; ``default_route`` is the account's. ``full_series`` is the
    series by what the records stated; ``series`` is where their charges are summed, which differs where the cap folded it.
    ``extra_details`` is JSON of what the events keep in their details because the series does not record it: the name of an
    undeclared account, and the values that were folded; empty for nothing. ``needs_attention``: the account or the route is
    unknown, or the series was folded.
    """

    account_id: int
    identity_mask: int
    source_id: int
    stated_route: str
    default_route: str
    route: str
    billable: bool
    rate_names: tuple[str, str, str]
    full_series: SeriesKey
    series: SeriesKey
    series_id: int
    extra_details: str
    needs_attention: bool


class ContextCache:
    """Contexts by dimensions and billing account, shared by all batches of a process. A context never changes."""

    def __init__(self, series: SeriesIndex) -> None:
        self._series = series
        self._known: dict[tuple[Dimensions, BillingAccount], EventContext] = {}

    def of_events(self, batch: Batch, names: ResolvedNames) -> list[EventContext]:
        """Return the context of each event. Creates missing series."""
        always = {name: names.always(name) for name in {dimensions.account for dimensions in batch.dimensions}}
        fixed = [always[dimensions.account] for dimensions in batch.dimensions]
        if None not in fixed:
            pairs = [(position, billed_to) for position, billed_to in enumerate(fixed) if billed_to is not None]
            contexts = self._contexts_of(batch, pairs)
            by_position = [contexts[pair] for pair in pairs]
            return [by_position[position] for position in batch.events.dimensions]
        billed = [
            (position, fixed[position] or names.at(batch.dimensions[position].account, time))
            for position, time in zip(batch.events.dimensions, batch.events.times, strict=True)
        ]
        contexts = self._contexts_of(batch, dict.fromkeys(billed))
        return [contexts[pair] for pair in billed]

    def _contexts_of(self, batch: Batch, pairs: Iterable[_Pair]) -> dict[_Pair, EventContext]:
        contexts: dict[_Pair, EventContext] = {}
        new: dict[_Pair, SeriesKey] = {}
        for pair in pairs:
            stated, billed = batch.dimensions[pair[0]], pair[1]
            context = self._known.get((stated, billed))
            if context is None:
                new[pair] = _series_key(stated, billed)
            else:
                contexts[pair] = context
        if new:
            self._series.prepare(new.values())
            if len(self._known) > MAX_CACHED:
                self._known.clear()
        for (position, billed), full_series in new.items():
            stated = batch.dimensions[position]
            contexts[position, billed] = self._known[stated, billed] = self._context(stated, billed, full_series)
        return contexts

    def in_series(self, context: EventContext, full_series: SeriesKey, *, source_id: int) -> EventContext:
        """Return the context of an event that belongs to another series and source of the same account.

        Raises KeyError if the series was not prepared (``prepare_series``).
        """
        series_id, series = self._series.find(full_series)
        account = msgspec.json.decode(context.extra_details).get("account", "") if context.extra_details else ""
        return msgspec.structs.replace(
            context,
            source_id=source_id,
            route=full_series.route,
            billable=is_billable(full_series.route),
            rate_names=(full_series.provider, full_series.model, full_series.operation),
            full_series=full_series,
            series=series,
            series_id=series_id,
            extra_details=_extra_details(full_series, series, account),
            needs_attention=_needs_attention(full_series, series),
        )

    def prepare_series(self, keys: Iterable[SeriesKey]) -> None:
        """Make sure that every key has a series; must not be called inside a write transaction."""
        self._series.prepare(keys)

    def _context(self, stated: Dimensions, billed: BillingAccount, full_series: SeriesKey) -> EventContext:
        series_id, series = self._series.find(full_series)
        is_unassigned = full_series.account_id == UNASSIGNED_ID
        undeclared_name = replace_control_characters(stated.account) if is_unassigned else ""
        return EventContext(
            account_id=full_series.account_id,
            identity_mask=account_mask(full_series.account_id),
            source_id=self._series.source_id(stated.source),
            stated_route=stated.route,
            default_route=billed.default_route,
            route=full_series.route,
            billable=is_billable(full_series.route),
            rate_names=(full_series.provider, full_series.model, full_series.operation),
            full_series=full_series,
            series=series,
            series_id=series_id,
            extra_details=_extra_details(full_series, series, undeclared_name),
            needs_attention=_needs_attention(full_series, series),
        )


def _needs_attention(full_series: SeriesKey, series: SeriesKey) -> bool:
    return full_series.account_id == UNASSIGNED_ID or full_series.route == UNKNOWN or series is not full_series


def _series_key(stated: Dimensions, billed: BillingAccount) -> SeriesKey:
    route = route_of(stated.route, stated.provider, billed.default_route)
    return SeriesKey(
        billed.account_id,
        stated.provider,
        stated.model,
        stated.operation,
        route,
        stated.project,
        stated.key,
        stated.tags,
    )


def _extra_details(full_series: SeriesKey, series: SeriesKey, undeclared_name: str) -> str:
    details: dict[str, object] = {"account": undeclared_name} if undeclared_name else {}
    if series is not full_series:
        for name in ("project", "key", "model", "operation"):
            # An empty value that was folded is kept too: without it, the value would read as (other).
            if getattr(series, name) == OTHER != getattr(full_series, name):
                details[name] = getattr(full_series, name)
        if full_series.tags:
            details["tags"] = msgspec.json.decode(full_series.tags)
    return msgspec.json.encode(details).decode() if details else ""
