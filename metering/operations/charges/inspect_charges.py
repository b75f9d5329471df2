"""Find charges that differ from the current prices.

The preview and the run inspect charges with the same code, so the preview shows what the run writes. Whether a series is in the
scope, and the rates that apply to it over time, are looked up once per series.
"""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.charges.rerating import (
    RerateGroup,
    RerateScope,
    RerateSummary,
    RerateTotals,
    has_current_prices,
)
from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.domain.usage.charging import is_billable
from metering.domain.usage.events import QuantityGrade
from metering.domain.usage.series import OTHER, SeriesKey
from metering.storage.charges.charged_events import ChargedEvent, CurrentCharge, current_replacements
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.usage.series import series_by_id
from pricing.book import PriceBook, Timeline
from pricing.errors import ChargeTooLargeError
from pricing.quantities import Quantities
from pricing.rates import Rate
from pricing.rating import charge, text_amount

_UNSTATED = int(QuantityGrade.UNSTATED)


class ChangeKey(NamedTuple):
    """The rollup keys of charges before and after a change, in one. ``rate_id`` 0: no rate."""

    series_id: int
    rate_id: int
    price_grade: int
    new_rate_id: int
    quantity_grade: int
    billable: int
    event_day: int
    billing_month: int


class Change(NamedTuple):
    """A charge that changes: nano-USD before and after, and amounts of the COLUMN_KINDS (0 if the event used other kinds)."""

    event_id: int
    before_nano: int
    after_nano: int
    used: tuple[int, ...]


class ChangeColumns(NamedTuple):
    """Changes as columns: the fields of Change, in order."""

    event_ids: tuple[int, ...]
    before_nano: tuple[int, ...]
    after_nano: tuple[int, ...]
    used: tuple[tuple[int, ...], ...]


_column_amounts = attrgetter(*COLUMN_KINDS)
_NOTHING = (0,) * len(COLUMN_KINDS)


class Inspection(NamedTuple):
    """Result of inspecting a chunk of charges.

    ``other_kinds`` holds all quantities of changed events that used kinds other than COLUMN_KINDS.
    """

    summary: RerateSummary
    changes: dict[ChangeKey, list[Change]]
    other_kinds: dict[ChangeKey, list[Quantities]]


class _SeriesPrices(Struct, frozen=True):
    """Values that the events of a series share.

    ``folded``: the series cap folded the model, so each event has its own prices and these are not used.
    """

    key: SeriesKey
    in_scope: bool
    folded: bool
    billable: int
    timeline: Timeline


class ChargeInspector:
    """Inspects the charges of one scope against one price book."""

    def __init__(self, book: PriceBook, scope: RerateScope) -> None:
        self._book = book
        self._scope = scope
        self._grades = scope.grades
        self._series: dict[int, _SeriesPrices] = {}
        self._unfolded: dict[tuple[SeriesKey, str, str], _SeriesPrices] = {}
        self._current: dict[tuple[int, int], bool] = {}

    def inspect(self, connection: Connection, events: Sequence[ChargedEvent]) -> Inspection:
        """Return which of the events' charges change, and to what."""
        replacements = current_replacements(connection, [event.event_id for event in events])
        self._load_series(connection, events, replacements)
        found = Inspection(RerateSummary(), defaultdict(list), defaultdict(list))
        for event in events:
            current = replacements.get(event.event_id, event) if replacements else event
            if current.price_grade in self._grades:
                prices = self._series[current.series_id]
                if prices.folded:
                    prices = self._of_folded(prices, self._series[event.series_id].key, event.details)
                if prices.in_scope:
                    self._inspect_event(event, current, prices, found)
        _sum_changes(found, self._series)
        return found

    def _inspect_event(
        self, event: ChargedEvent, current: CurrentCharge | ChargedEvent, prices: _SeriesPrices, found: Inspection
    ) -> None:
        summary = found.summary
        summary.examined += 1
        quantities = quantities_of(event) if event.other_quantities else None
        prompt = event.input_tokens + event.cache_read_tokens if quantities is None else quantities.prompt_tokens
        new_rate = None if event.quantity_grade == _UNSTATED else prices.timeline.rate_at(event.event_time, prompt)
        if new_rate is None:
            summary.kept += 1
            return
        rate_id = current.rate_id
        if rate_id is not None and self._is_current(rate_id, new_rate):
            return
        amount_nano = _priced(event, quantities, new_rate)
        if amount_nano is None:
            summary.kept += 1
            return
        event_day = event.event_time // MICROS_PER_DAY
        key = ChangeKey(
            current.series_id, rate_id or 0, current.price_grade, new_rate.id, event.quantity_grade, prices.billable,
            event_day, current.billing_month,
        )  # fmt: skip
        used = _column_amounts(event) if quantities is None else _NOTHING
        found.changes[key].append(Change(event.event_id, current.amount_nano, amount_nano, used))
        if quantities is not None:
            found.other_kinds[key].append(quantities)

    def _is_current(self, rate_id: int, new_rate: Rate) -> bool:
        if rate_id == new_rate.id:
            return True
        pair = rate_id, new_rate.id
        is_current = self._current.get(pair)
        if is_current is None:
            try:
                is_current = has_current_prices(self._book.rate(rate_id), new_rate)
            except KeyError:
                # The charge was made at a price recorded after the run started, which is newer than the run's prices.
                is_current = True
            self._current[pair] = is_current
        return is_current

    def _load_series(
        self, connection: Connection, events: Sequence[ChargedEvent], replacements: dict[int, CurrentCharge]
    ) -> None:
        series_ids = {event.series_id for event in events}
        series_ids.update(current.series_id for current in replacements.values())
        unknown = sorted(series_ids - self._series.keys())
        if unknown:
            for series_id, key in series_by_id(connection, unknown).items():
                self._series[series_id] = self._prices_of(key, key.model, key.operation)

    def _of_folded(self, prices: _SeriesPrices, first: SeriesKey, details: str) -> _SeriesPrices:
        # Values folded by the cap are on the event; if assigning folded them, in the series that the event arrived in.
        stated = msgspec.json.decode(details) if details else {}
        names = prices.key, stated.get("model", first.model), stated.get("operation", first.operation)
        found = self._unfolded.get(names)
        if found is None:
            found = self._unfolded[names] = self._prices_of(*names)
        return found

    def _prices_of(self, key: SeriesKey, model: str, operation: str) -> _SeriesPrices:
        scope = self._scope
        matches = scope.provider in (None, key.provider) and scope.model in (None, model)
        return _SeriesPrices(
            key=key,
            in_scope=matches and scope.account_id in (None, key.account_id),
            folded=model == OTHER,
            billable=int(is_billable(key.route)),
            timeline=self._book.timeline(key.account_id, key.route, (key.provider, model, operation)),
        )


def _sum_changes(found: Inspection, series: dict[int, _SeriesPrices]) -> None:
    for key, changes in found.changes.items():
        series_key = series[key.series_id].key
        month = month_of_day(key.event_day)
        group = RerateGroup(series_key.account_id, series_key.provider, series_key.model, month)
        totals = found.summary.by_group.setdefault(group, RerateTotals())
        columns = ChangeColumns(*zip(*changes, strict=True))
        totals.add(len(changes), sum(columns.before_nano), sum(columns.after_nano))


def _priced(event: ChargedEvent, quantities: Quantities | None, rate: Rate) -> int | None:
    """Return the charge of an event at a rate in nano-USD; None if the rate makes no charge, or one that is too large.

    ``quantities`` is None for an event that used only COLUMN_KINDS.
    """
    try:
        if quantities is None:
            # Most events: no object is made for their quantities.
            amount_nano = text_amount(rate, event.input_tokens, event.cache_read_tokens, 0, 0, event.output_tokens)
            if amount_nano is not None:
                return amount_nano
        charged = charge(quantities or quantities_of(event), rate)
    except ChargeTooLargeError:
        return None
    return None if charged is None else charged.amount_nano
