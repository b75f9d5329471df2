"""Which charges are not what the price book makes of them: looked at in chunks, changed by whoever asked.

The preview and the run look with the same eyes, so that one says what the other writes. What events share is found out once a
series: the scope, what was asked of whom, and the prices through all time.
"""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.charges.rerating import Effect, RerateScope, RerateSummary, is_current
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
    """What charges that change share: where they are summed, at which rate (0: none) they are and will be, and when."""

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


_column_amounts = attrgetter(*COLUMN_KINDS)
_NOTHING = (0,) * len(COLUMN_KINDS)


class ExaminedChunk(NamedTuple):
    """What one chunk of events came to; ``whole`` holds the quantities of the changes that have others than COLUMN_KINDS."""

    examined: RerateSummary
    changes: dict[ChangeKey, list[Change]]
    whole: dict[ChangeKey, list[Quantities]]


class _Usage(Struct, frozen=True):
    """What the events of a series share. ``folded``: what was asked is on each event, and these are nobody's prices."""

    key: SeriesKey
    in_scope: bool
    folded: bool
    billable: int
    timeline: Timeline


class ChargeInspector:
    """Looks at the charges of one scope with one price book."""

    def __init__(self, book: PriceBook, scope: RerateScope) -> None:
        self._book = book
        self._scope = scope
        self._grades = scope.grades
        self._series: dict[int, _Usage] = {}
        self._unfolded: dict[tuple[SeriesKey, str, str], _Usage] = {}
        self._right: dict[tuple[int, int], bool] = {}

    def look(self, connection: Connection, events: Sequence[ChargedEvent]) -> ExaminedChunk:
        """Say what of the events' charges is to be replaced by what."""
        replaced = current_replacements(connection, [event.event_id for event in events])
        self._load_series(connection, events, replaced)
        looked = ExaminedChunk(RerateSummary(), defaultdict(list), defaultdict(list))
        for event in events:
            current = replaced.get(event.event_id, event) if replaced else event
            if current.price_grade in self._grades:
                usage = self._series[current.series_id]
                if usage.folded:
                    usage = self._of_folded(usage, self._series[event.series_id].key, event.details)
                if usage.in_scope:
                    self._look_at(event, current, usage, looked)
        _sum_up(looked, self._series)
        return looked

    def _look_at(
        self, event: ChargedEvent, current: CurrentCharge | ChargedEvent, usage: _Usage, looked: ExaminedChunk
    ) -> None:
        examined = looked.examined
        examined.events += 1
        quantities = quantities_of(event) if event.other_quantities else None
        prompt = event.input_tokens + event.cache_read_tokens if quantities is None else quantities.prompt_tokens
        applies = None if event.quantity_grade == _UNSTATED else usage.timeline.rate_at(event.event_time, prompt)
        if applies is None:
            examined.kept += 1
            return
        rate_id = current.rate_id
        if rate_id is not None and self._is_right(rate_id, applies):
            return
        amount_nano = _priced(event, quantities, applies)
        if amount_nano is None:
            examined.kept += 1
            return
        key = ChangeKey(
            series_id=current.series_id,
            rate_id=rate_id or 0,
            price_grade=current.price_grade,
            new_rate_id=applies.id,
            quantity_grade=event.quantity_grade,
            billable=usage.billable,
            event_day=event.event_time // MICROS_PER_DAY,
            billing_month=current.billing_month,
        )
        used = _column_amounts(event) if quantities is None else _NOTHING
        looked.changes[key].append(Change(event.event_id, current.amount_nano, amount_nano, used))
        if quantities is not None:
            looked.whole[key].append(quantities)

    def _is_right(self, rate_id: int, applies: Rate) -> bool:
        if rate_id == applies.id:
            return True
        pair = rate_id, applies.id
        right = self._right.get(pair)
        if right is None:
            try:
                right = is_current(self._book.rate(rate_id), applies)
            except KeyError:
                # A price that became known after the run began has priced it since: that is newer than what the run knows.
                right = True
            self._right[pair] = right
        return right

    def _load_series(self, connection: Connection, events: Sequence[ChargedEvent], replaced: dict[int, CurrentCharge]) -> None:
        named = {event.series_id for event in events}
        named.update(current.series_id for current in replaced.values())
        unknown = sorted(named - self._series.keys())
        if unknown:
            for series_id, key in series_by_id(connection, unknown).items():
                self._series[series_id] = self._usage(key, key.model, key.operation)

    def _of_folded(self, usage: _Usage, first: SeriesKey, details: str) -> _Usage:
        # What the cap folded is on the event; where assigning it folded, in the series that it arrived in.
        told = msgspec.json.decode(details) if details else {}
        what = usage.key, told.get("model", first.model), told.get("operation", first.operation)
        found = self._unfolded.get(what)
        if found is None:
            found = self._unfolded[what] = self._usage(*what)
        return found

    def _usage(self, key: SeriesKey, model: str, operation: str) -> _Usage:
        scope = self._scope
        matches = scope.provider in (None, key.provider) and scope.model in (None, model)
        return _Usage(
            key=key,
            in_scope=matches and scope.account_id in (None, key.account_id),
            folded=model == OTHER,
            billable=int(is_billable(key.route)),
            timeline=self._book.timeline(key.account_id, key.route, (key.provider, model, operation)),
        )


def _sum_up(looked: ExaminedChunk, series: dict[int, _Usage]) -> None:
    for key, changes in looked.changes.items():
        of = series[key.series_id].key
        group = of.account_id, of.provider, of.model, month_of_day(key.event_day)
        effect = looked.examined.by_group.setdefault(group, Effect())
        effect.add(len(changes), sum(change.before_nano for change in changes), sum(change.after_nano for change in changes))


def _priced(event: ChargedEvent, quantities: Quantities | None, rate: Rate) -> int | None:
    """Return what an event costs at a rate, nano-USD; None if the rate makes no charge, or one that is too large.

    ``quantities`` are None for an event that used nothing but COLUMN_KINDS.
    """
    try:
        if quantities is None:
            # Nearly all events: they need no object for what they used.
            amount_nano = text_amount(rate, event.input_tokens, event.cache_read_tokens, 0, 0, event.output_tokens)
            if amount_nano is not None:
                return amount_nano
        charged = charge(quantities or quantities_of(event), rate)
    except ChargeTooLargeError:
        return None
    return None if charged is None else charged.amount_nano
