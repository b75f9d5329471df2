"""Events whose current charge is unpriced: what they cost at the prices known now, or why they cannot be priced."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.usage.charging import FirstCharge, first_charge
from metering.domain.usage.events import UNKNOWN, QuantityGrade
from metering.domain.usage.series import OTHER, SeriesKey
from metering.storage.charges.charges import ChargeEntry, first_entry, later_entries
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.usage.event_rows import EventRow, events_by_id, stated_names
from metering.storage.usage.series import series_by_id
from pricing.book import PriceBook
from pricing.errors import ChargeTooLargeError
from pricing.possible import PossibleCost, PossibleCosts, UnknownUsage
from pricing.quantities import Quantities
from pricing.rates import Rate
from pricing.rating import kinds_without_price


class UnpricedEvent(Struct, frozen=True):
    """An unpriced event: its row, its newest ledger entry and the entry's series.

    ``priced_as`` is the (provider, model, operation) that prices are looked up by.
    """

    row: EventRow
    entry: ChargeEntry
    series: SeriesKey
    priced_as: tuple[str, str, str]

    @property
    def quantities(self) -> Quantities:
        """The event's quantities."""
        return quantities_of(self.row)

    def rate(self, book: PriceBook) -> Rate | None:
        """Return the rate that was in effect when the request started."""
        if self.row.quantity_grade == QuantityGrade.UNSTATED:
            return None
        context = self.quantities.prompt_tokens
        return book.rate_for(self.series.account_id, self.series.route, self.priced_as, self.row.event_time, context)

    def charge(self, book: PriceBook) -> FirstCharge:
        """Return the charge at the prices known now. The event stays unpriced if its charge would be too large."""
        try:
            return first_charge(self.quantities, self.rate(book), None)
        except ChargeTooLargeError:
            return first_charge(self.quantities, None, None)

    def possible(self, costs: PossibleCosts) -> PossibleCost | None:
        """Return what the request may have cost if its provider or route is unknown."""
        if self.row.quantity_grade == QuantityGrade.UNSTATED:
            return None
        provider, model, operation = self.priced_as
        return costs.of(
            UnknownUsage(
                account_id=self.series.account_id,
                route=self.series.route,
                provider=provider,
                model=model,
                operation=operation,
                start=self.row.event_time,
                end=self.row.event_time + 1,
                events=1,
                quantities=self.quantities,
            )
        )

    def why(self, book: PriceBook) -> str:
        """Return why the event is unpriced (see UnpricedUsage)."""
        if self.row.quantity_grade == QuantityGrade.UNSTATED:
            return "quantities unstated"
        rate = self.rate(book)
        if rate is None:
            if self.series.provider == UNKNOWN:
                return "no provider"
            return "no route" if self.series.route == UNKNOWN else "no rate"
        kinds = kinds_without_price(self.quantities, rate)
        if kinds:
            return f"price missing for {', '.join(kinds)}"
        return "not rated yet" if self.charge(book).amount_nano is not None else "charge too large"


def unpriced_among(connection: Connection, event_ids: Sequence[int]) -> Iterator[UnpricedEvent]:
    """Yield those of the events whose newest entry is unpriced, by ID."""
    rows = events_by_id(connection, event_ids)
    later = later_entries(connection, event_ids)
    newest = [later[row.id][-1] if row.id in later else first_entry(row) for row in rows]
    series = series_by_id(connection, {entry.series_id for entry in newest})
    for row, entry in zip(rows, newest, strict=True):
        if entry.is_unpriced:
            yield UnpricedEvent(row, entry, series[entry.series_id], _priced_as(series[entry.series_id], row))


def _priced_as(series: SeriesKey, row: EventRow) -> tuple[str, str, str]:
    """Return the names by the entry's series, which a correction may have changed; what the cap folded is in the row."""
    if series.model != OTHER:
        return series.provider, series.model, series.operation
    return series.provider, *stated_names(row)[1:]
