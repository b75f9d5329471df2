"""Where the events of a batch belong: account, route, series, rate key. Once per combination, not once per event.

A name that changed hands is the exception: which account it means depends on the event's time.
"""

import msgspec
from msgspec import Struct

from metering.domain.batches import Batch, Dimensions
from metering.domain.charging import is_billable, route_of
from metering.domain.events import UNKNOWN
from metering.domain.identity import account_mask
from metering.domain.series import OTHER, SeriesKey
from metering.domain.texts import without_control_characters
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.resolve_accounts import BilledTo, Names
from metering.storage.accounts import UNASSIGNED_ID


class Place(Struct, frozen=True, eq=False):
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


class Places:
    """The places of one batch, in the order of its events."""

    def __init__(self, batch: Batch, names: Names, index: SeriesIndex) -> None:
        self._batch = batch
        self._names = names
        self._index = index
        self._fixed = [names.always(dimensions.account) for dimensions in batch.dimensions]

    def of_events(self) -> list[Place]:
        """Return one place an event; new series are created on the way."""
        events = self._batch.events
        if None not in self._fixed:
            places = self._places_of({(position, fixed) for position, fixed in enumerate(self._fixed) if fixed is not None})
            by_position = {position: place for (position, _), place in places.items()}
            return [by_position[position] for position in events.dimensions]
        billed = [
            (position, self._billed_to(position, time)) for position, time in zip(events.dimensions, events.times, strict=True)
        ]
        places = self._places_of(set(billed))
        return [places[pair] for pair in billed]

    def _places_of(self, billed: set[tuple[int, BilledTo]]) -> dict[tuple[int, BilledTo], Place]:
        wanted = {pair: self._series_key(*pair) for pair in billed}
        self._index.prepare(wanted.values())
        return {pair: self._place(pair[0], key) for pair, key in wanted.items()}

    def _billed_to(self, position: int, instant: int) -> BilledTo:
        fixed = self._fixed[position]
        return self._names.at(self._batch.dimensions[position].account, instant) if fixed is None else fixed

    def _series_key(self, position: int, billed_to: BilledTo) -> SeriesKey:
        stated: Dimensions = self._batch.dimensions[position]
        route = route_of(stated.route, stated.provider, billed_to.default_route)
        return SeriesKey(
            billed_to.account_id,
            stated.provider,
            stated.model,
            stated.operation,
            route,
            stated.project,
            stated.key,
            stated.tags,
        )

    def _place(self, position: int, wanted: SeriesKey) -> Place:
        series_id, series = self._index.find(wanted)
        stated = self._batch.dimensions[position]
        nobodys_name = without_control_characters(stated.account) if wanted.account_id == UNASSIGNED_ID else ""
        return Place(
            account_id=wanted.account_id,
            identity_mask=account_mask(wanted.account_id),
            source_id=self._index.source_id(stated.source),
            route=wanted.route,
            billable=is_billable(wanted.route),
            what=(wanted.provider, wanted.model, wanted.operation),
            wanted=wanted,
            series=series,
            series_id=series_id,
            told=_told(wanted, series, nobodys_name),
            doubtful=wanted.account_id == UNASSIGNED_ID or wanted.route == UNKNOWN or series is not wanted,
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
