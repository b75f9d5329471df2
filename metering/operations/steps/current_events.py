"""Events as they count now: the newest ledger entry, the series that it is in, and the facts that decide the charge."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.usage.batches import canonical_tags
from metering.domain.usage.charging import route_of
from metering.domain.usage.completion import RequestFacts
from metering.domain.usage.events import UNKNOWN, PriceGrade
from metering.domain.usage.series import OTHER, SeriesKey
from metering.storage.charges.charges import ChargeEntry, first_entry, later_entries
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.usage.event_rows import EventRow, details_of, events_by_id
from metering.storage.usage.series import series_by_id

_UNFOLDED = ("project", "key", "model", "operation")


class CurrentEvent(Struct, frozen=True):
    """A stored event with its newest ledger entry. ``series`` is that of the entry, with the values that the cap folded."""

    row: EventRow
    entry: ChargeEntry
    series: SeriesKey
    details: Mapping[str, Any]

    @property
    def is_exempt(self) -> bool:
        """Whether the request failed."""
        return self.entry.price_grade == PriceGrade.EXEMPT

    def facts(self, default_route: str) -> RequestFacts:
        """Return what is known of the request. A route that follows from the account's ``default_route`` was not stated."""
        series = self.series
        derived = route_of("", series.provider, default_route)
        return RequestFacts(
            time=self.row.event_time,
            provider=series.provider,
            model=series.model,
            operation=series.operation,
            route="" if series.route in (UNKNOWN, derived) else series.route,
            status=self.row.status,
            failure=str(self.details.get("failure", "")),
            quantities=quantities_of(self.row),
            quantity_grade=self.row.quantity_grade,
        )


def current_events(connection: Connection, event_ids: Sequence[int], declared_tags: frozenset[str]) -> dict[int, CurrentEvent]:
    """Return those of the events that are in the log, by ID. They must count: a reversed event has no current entry."""
    rows = events_by_id(connection, event_ids)
    later = later_entries(connection, event_ids)
    newest = {row.id: later[row.id][-1] if row.id in later else first_entry(row) for row in rows}
    series = series_by_id(connection, {*(entry.series_id for entry in newest.values()), *(row.series_id for row in rows)})
    found = {}
    for row in rows:
        details = details_of(row)
        # A later series that was folded does not keep the values; the first one does, or the details.
        full = unfold_series(series[newest[row.id].series_id], _stated(series[row.series_id], details), declared_tags)
        found[row.id] = CurrentEvent(row, newest[row.id], full, details)
    return found


def unfold_series(stored: SeriesKey, details: Mapping[str, Any], declared_tags: frozenset[str]) -> SeriesKey:
    """Return a series with the values that the cap folded, from the details of an event."""
    if OTHER not in stored:
        return stored
    changes: dict[str, Any] = {name: str(details.get(name, OTHER)) for name in _UNFOLDED if getattr(stored, name) == OTHER}
    if stored.tags == OTHER:
        tags = details.get("tags", {})
        changes["tags"] = canonical_tags(tags if isinstance(tags, dict) else {}, declared_tags)
    return stored._replace(**changes)


def _stated(first: SeriesKey, details: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: getattr(first, name) for name in _UNFOLDED if getattr(first, name) != OTHER}
    return {**names, **details}
