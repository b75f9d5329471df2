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
    what: tuple[str, str, str]
    wanted: SeriesKey
    series: SeriesKey
    series_id: int
    told: str
    doubtful: bool


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
            places = self._places_of(batch, pairs)
            by_position = [places[pair] for pair in pairs]
            return [by_position[position] for position in batch.events.dimensions]
        billed = [
            (position, fixed[position] or names.at(batch.dimensions[position].account, time))
            for position, time in zip(batch.events.dimensions, batch.events.times, strict=True)
        ]
        places = self._places_of(batch, dict.fromkeys(billed))
        return [places[pair] for pair in billed]

    def _places_of(self, batch: Batch, pairs: Iterable[_Pair]) -> dict[_Pair, EventContext]:
        found: dict[_Pair, EventContext] = {}
        new: dict[_Pair, SeriesKey] = {}
        for pair in pairs:
            stated, billed = batch.dimensions[pair[0]], pair[1]
            place = self._known.get((stated, billed))
            if place is None:
                new[pair] = _series_key(stated, billed)
            else:
                found[pair] = place
        if new:
            self._series.prepare(new.values())
            if len(self._known) > MAX_REMEMBERED:
                self._known.clear()
        for (position, billed), wanted in new.items():
            stated = batch.dimensions[position]
            found[position, billed] = self._known[stated, billed] = self._place(stated, wanted)
        return found

    def _place(self, stated: Dimensions, wanted: SeriesKey) -> EventContext:
        series_id, series = self._series.find(wanted)
        nobodys_name = replace_control_characters(stated.account) if wanted.account_id == UNASSIGNED_ID else ""
        return EventContext(
            account_id=wanted.account_id,
            identity_mask=account_mask(wanted.account_id),
            source_id=self._series.source_id(stated.source),
            route=wanted.route,
            billable=is_billable(wanted.route),
            what=(wanted.provider, wanted.model, wanted.operation),
            wanted=wanted,
            series=series,
            series_id=series_id,
            told=_told(wanted, series, nobodys_name),
            doubtful=wanted.account_id == UNASSIGNED_ID or wanted.route == UNKNOWN or series is not wanted,
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


def _told(wanted: SeriesKey, series: SeriesKey, nobodys_name: str) -> str:
    told: dict[str, object] = {"account": nobodys_name} if nobodys_name else {}
    if series is not wanted:
        for name in ("project", "key", "model", "operation"):
            if getattr(series, name) == OTHER != getattr(wanted, name):
                told[name] = getattr(wanted, name)
        if wanted.tags:
            told["tags"] = msgspec.json.decode(wanted.tags)
    # An empty value that was folded is told too: else it would be taken for (other).
    return msgspec.json.encode(told).decode() if told else ""
