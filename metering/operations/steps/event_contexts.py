"""Where the events of a batch belong: account, route, series, rate key. Once per combination, not once per event.

A name that changed hands is the exception: which account it means depends on the event's time.
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

# Records can name projects and keys without end; what is remembered of them must have one.
MAX_REMEMBERED = 16_384

_Pair = tuple[int, BillingAccount]
"""A position among the batch's dimensions, and who is billed for its events."""


class EventContext(Struct, frozen=True, eq=False):
    """What all events with the same dimensions and account share; ``series`` is where they are summed.

    ``told`` is JSON of what its events keep in their details because their series does not say it: the account's name that
    nobody has declared, and what the cap folded; empty for nothing. ``doubtful``: someone should look, because the account or
    the route is not known or the cap folded the series.
    """

    account_id: int
    identity_mask: int
    source_id: int
    route: str
    billable: bool
    rate_names: tuple[str, str, str]
    full_series: SeriesKey
    series: SeriesKey
    series_id: int
    extra_details: str
    needs_attention: bool


class ContextCache:
    """Places by what records stated and who is billed, shared by all batches of a process: what a place says never changes."""

    def __init__(self, series: SeriesIndex) -> None:
        self._series = series
        self._known: dict[tuple[Dimensions, BillingAccount], EventContext] = {}

    def of_events(self, batch: Batch, names: ResolvedNames) -> list[EventContext]:
        """Return one place an event; new series are created on the way."""
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
        found: dict[_Pair, EventContext] = {}
        new: dict[_Pair, SeriesKey] = {}
        for pair in pairs:
            stated, billed = batch.dimensions[pair[0]], pair[1]
            context = self._known.get((stated, billed))
            if context is None:
                new[pair] = _series_key(stated, billed)
            else:
                found[pair] = context
        if new:
            self._series.prepare(new.values())
            if len(self._known) > MAX_REMEMBERED:
                self._known.clear()
        for (position, billed), full_series in new.items():
            stated = batch.dimensions[position]
            found[position, billed] = self._known[stated, billed] = self._context(stated, full_series)
        return found

    def _context(self, stated: Dimensions, full_series: SeriesKey) -> EventContext:
        series_id, series = self._series.find(full_series)
        nobodys_name = replace_control_characters(stated.account) if full_series.account_id == UNASSIGNED_ID else ""
        return EventContext(
            account_id=full_series.account_id,
            identity_mask=account_mask(full_series.account_id),
            source_id=self._series.source_id(stated.source),
            route=full_series.route,
            billable=is_billable(full_series.route),
            rate_names=(full_series.provider, full_series.model, full_series.operation),
            full_series=full_series,
            series=series,
            series_id=series_id,
            extra_details=_extra_details(full_series, series, nobodys_name),
            needs_attention=full_series.account_id == UNASSIGNED_ID
            or full_series.route == UNKNOWN
            or series is not full_series,
        )


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


def _extra_details(full_series: SeriesKey, series: SeriesKey, nobodys_name: str) -> str:
    told: dict[str, object] = {"account": nobodys_name} if nobodys_name else {}
    if series is not full_series:
        for name in ("project", "key", "model", "operation"):
            if getattr(series, name) == OTHER != getattr(full_series, name):
                told[name] = getattr(full_series, name)
        if full_series.tags:
            told["tags"] = msgspec.json.decode(full_series.tags)
    # An empty value that was folded is told too: else it would be taken for (other).
    return msgspec.json.encode(told).decode() if told else ""
