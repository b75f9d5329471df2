"""Work out what a correction or a withdrawal changes. The preview and the run use this code, so the preview is exact.

Whether a series is in the scope, where its events go and at which rates is looked up once per series.
"""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.charges.corrections import (
    CorrectedUsage,
    CorrectionChanges,
    CorrectionGroup,
    CorrectionScope,
    CorrectionSummary,
)
from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.domain.usage.charging import first_charge
from metering.domain.usage.events import FREE_GRADES, PriceGrade, QuantityGrade
from metering.domain.usage.series import OTHER, SeriesKey
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.current_events import unfold_series
from metering.storage.charges.charged_events import ChargedEvent, CurrentCharge, current_replacements
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.usage.copies import recorded_twice_among
from metering.storage.usage.series import series_by_id
from pricing.book import PriceBook, Timeline
from pricing.errors import ChargeTooLargeError
from pricing.quantities import Quantities
from pricing.rating import text_amount

_UNSTATED, _UNPRICED, _RATED = int(QuantityGrade.UNSTATED), int(PriceGrade.UNPRICED), int(PriceGrade.RATED)
# The amount follows from the request itself, whatever its provider, model or route.
_FIXED = frozenset(map(int, FREE_GRADES))
_column_amounts = attrgetter(*COLUMN_KINDS)
_NOTHING = (0,) * len(COLUMN_KINDS)

# Stands for any series that is not the event's own.
_IN_PREVIEW = -1

_Charge = CurrentCharge | ChargedEvent


class MoveKey(NamedTuple):
    """The rollup keys of entries before and after a change, in one. Rate 0: no rate.

    ``new_series_id`` 0: the event is withdrawn; ``series_id`` 0: it was, and is restored.
    """

    series_id: int
    rate_id: int
    price_grade: int
    quantity_grade: int
    event_day: int
    billing_month: int
    new_series_id: int
    new_rate_id: int
    new_price_grade: int


class MovedEvent(NamedTuple):
    """An event that changes: nano-USD before and after, and amounts of the COLUMN_KINDS (0 if it used other kinds)."""

    event_id: int
    event_time: int
    before_nano: int
    after_nano: int
    used: tuple[int, ...]


class Moves(NamedTuple):
    """What changes in a chunk. ``other_kinds`` holds all quantities of events that used others than COLUMN_KINDS.

    ``series`` are those of the entries, by ID.
    """

    summary: CorrectionSummary
    by_key: dict[MoveKey, list[MovedEvent]]
    other_kinds: dict[MoveKey, list[Quantities]]
    series: dict[int, SeriesKey]


class MissingSeries(Exception):  # noqa: N818 - the caller creates them and tries again
    """Events go to series that do not exist yet."""

    def __init__(self, keys: set[SeriesKey]) -> None:
        super().__init__(f"{len(keys)} series do not exist yet")
        self.keys = keys


class _Target(Struct, frozen=True):
    """Where the events of a series go, and the rates that apply there; None if they are withdrawn."""

    series_id: int
    timeline: Timeline | None


class CorrectionInspector:
    """Inspects events by one scope and one price book.

    ``changes`` None: the events are withdrawn. ``index`` None: for a preview, which creates no series.
    """

    def __init__(
        self,
        scope: CorrectionScope,
        changes: CorrectionChanges | None,
        book: PriceBook,
        index: SeriesIndex | None,
        declared_tags: frozenset[str],
    ) -> None:
        self._scope = scope
        self._changes = changes
        self._book = book
        self._index = index
        self._declared_tags = declared_tags
        self._series: dict[int, SeriesKey] = {}
        self._targets: dict[int, _Target | None] = {}
        self._missing: set[SeriesKey] = set()

    def inspect(self, connection: Connection, events: Sequence[ChargedEvent]) -> Moves:
        """Return what changes. Raises MissingSeries."""
        ids = [event.event_id for event in events]
        replacements = current_replacements(connection, ids)
        recorded_twice = recorded_twice_among(connection, ids) if self._changes is None else set()
        self._load_series(connection, events, replacements)
        found = Moves(CorrectionSummary(), defaultdict(list), defaultdict(list), self._series)
        targets = self._targets
        for event in events:
            current = replacements.get(event.event_id, event)
            series_id = current.series_id
            target = targets[series_id] if series_id in targets else self._target(series_id, event)
            if target is None:
                continue
            if target.timeline is not None:
                add_move(found, event, current, target.series_id, _amount_in(event, current, target.timeline))
            elif event.event_id in recorded_twice:
                found.summary.kept += 1
            else:
                add_move(found, event, current, 0, (0, 0, 0))
        if self._missing:
            missing, self._missing = self._missing, set()
            raise MissingSeries(missing)
        sum_up(found)
        return found

    def _target(self, series_id: int, event: ChargedEvent) -> _Target | None:
        """Return where an event of a series goes; None if it stays. Remembered, unless a value of the series is folded."""
        stored = self._series[series_id]
        series = stored if OTHER not in stored else self._unfolded(stored, event)
        target = self._new_target(stored, series) if self._scope.includes(series) else None
        if series is stored and not self._missing:
            self._targets[series_id] = target
        return target

    def _new_target(self, stored: SeriesKey, series: SeriesKey) -> _Target | None:
        if self._changes is None:
            return _Target(0, None)
        changed = self._changes.applied(series)
        if changed == series:
            return None
        # What is folded stays so, unless it is changed: then the new value is part of the series, as only it can hold it.
        key = self._changes.applied(stored)
        names = changed.provider, changed.model, changed.operation
        try:
            series_id = _IN_PREVIEW if self._index is None else self._index.id_of(key)
        except KeyError:
            self._missing.add(key)
            return None
        return _Target(series_id, self._book.timeline(changed.account_id, changed.route, names))

    def _unfolded(self, stored: SeriesKey, event: ChargedEvent) -> SeriesKey:
        first = self._series[event.series_id]._asdict()
        details = msgspec.json.decode(event.details) if event.details else {}
        return unfold_series(stored, {k: v for k, v in first.items() if v != OTHER} | details, self._declared_tags)

    def _load_series(
        self, connection: Connection, events: Sequence[ChargedEvent], replacements: dict[int, CurrentCharge]
    ) -> None:
        wanted = {event.series_id for event in events} | {current.series_id for current in replacements.values()}
        unknown = sorted(wanted - self._series.keys())
        if unknown:
            self._series.update(series_by_id(connection, unknown))


def _amount_in(event: ChargedEvent, current: _Charge, timeline: Timeline) -> tuple[int, int, int]:
    """Return (nano-USD, rate ID or 0, price grade) at these rates. A charge that would be too large leaves it unpriced."""
    if current.price_grade in _FIXED:
        return current.amount_nano, 0, current.price_grade
    quantities = quantities_of(event) if event.other_quantities else None
    prompt = event.input_tokens + event.cache_read_tokens if quantities is None else quantities.prompt_tokens
    rate = None if event.quantity_grade == _UNSTATED else timeline.rate_at(event.event_time, prompt)
    if quantities is None and rate is not None:
        # Most events: no object is made for their quantities.
        amount_nano = text_amount(rate, event.input_tokens, event.cache_read_tokens, 0, 0, event.output_tokens)
        if amount_nano is not None:
            return amount_nano, rate.id, _RATED
    reported = msgspec.json.decode(event.details).get("reported_cost_nano") if event.details else None
    try:
        charge = first_charge(quantities or quantities_of(event), rate, reported)
    except ChargeTooLargeError:
        charge = first_charge(quantities or quantities_of(event), None, reported)
    return charge.amount_nano or 0, charge.rate_id or 0, charge.grade


def add_move(found: Moves, event: ChargedEvent, current: _Charge, new_series_id: int, charged: tuple[int, int, int]) -> None:
    """Add an event that changes, with its (nano-USD, rate ID or 0, price grade) afterwards."""
    after_nano, new_rate_id, new_grade = charged
    quantities = quantities_of(event) if event.other_quantities else None
    event_day = event.event_time // MICROS_PER_DAY
    key = MoveKey(
        current.series_id, current.rate_id or 0, current.price_grade, event.quantity_grade, event_day, current.billing_month,
        new_series_id, new_rate_id, new_grade,
    )  # fmt: skip
    used = _column_amounts(event) if quantities is None else _NOTHING
    found.by_key[key].append(MovedEvent(event.event_id, event.event_time, current.amount_nano, after_nano, used))
    if quantities is not None:
        found.other_kinds[key].append(quantities)


def sum_up(found: Moves) -> None:
    """Add up what changes, by the series that the events are in, or come back to."""
    for key, moved in found.by_key.items():
        series = found.series[key.series_id or key.new_series_id]
        group = CorrectionGroup(series.provider, series.model, series.route, month_of_day(key.event_day))
        usage = CorrectedUsage(
            events=len(moved),
            before_nano=sum(each.before_nano for each in moved),
            after_nano=sum(each.after_nano for each in moved),
            unpriced_before=len(moved) if key.series_id and key.price_grade == _UNPRICED else 0,
            unpriced_after=len(moved) if key.new_series_id and key.new_price_grade == _UNPRICED else 0,
        )
        found.summary.by_group.setdefault(group, CorrectedUsage()).include(usage)
