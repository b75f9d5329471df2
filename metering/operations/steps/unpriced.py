"""Events whose newest entry is unpriced: what the price book says about them now, and why it still says nothing."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.usage.charging import FirstCharge, first_charge
from metering.domain.usage.events import UNKNOWN, QuantityGrade
from metering.domain.usage.series import SeriesKey
from metering.storage.charges.charges import ChargeEntry, first_entry, later_entries
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.usage.event_rows import EventRow, events_by_id, stated_names
from metering.storage.usage.series import series_by_id
from pricing.book import PriceBook
from pricing.errors import ChargeTooLargeError
from pricing.quantities import Quantities
from pricing.rates import Rate
from pricing.rating import kinds_without_price


class UnpricedEvent(Struct, frozen=True):
    """One such event: its row, its newest entry, the series that entry is summed in, and what was asked of whom."""

    row: EventRow
    entry: ChargeEntry
    series: SeriesKey
    what: tuple[str, str, str]

    @property
    def quantities(self) -> Quantities:
        """What the event used."""
        return quantities_of(self.row)

    def rate(self, book: PriceBook) -> Rate | None:
        """Return the rate that was valid when the request started."""
        if self.row.quantity_grade == QuantityGrade.UNSTATED:
            return None
        context = self.quantities.prompt_tokens
        return book.rate_for(self.series.account_id, self.series.route, self.what, self.row.event_time, context)

    def charge(self, book: PriceBook) -> FirstCharge:
        """Return what the event costs as far as it is known now; a charge too large to be one is unknown."""
        try:
            return first_charge(self.quantities, self.rate(book), None)
        except ChargeTooLargeError:
            return first_charge(self.quantities, None, None)

    def why(self, book: PriceBook) -> str:
        """Say what is missing."""
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
    """Return those of the events whose newest entry is unpriced, in the order of their ids."""
    rows = events_by_id(connection, event_ids)
    later = later_entries(connection, event_ids)
    newest = [later[row.id][-1] if row.id in later else first_entry(row) for row in rows]
    summed_in = series_by_id(connection, {entry.series_id for entry in newest})
    for row, entry in zip(rows, newest, strict=True):
        if entry.is_unpriced:
            yield UnpricedEvent(row, entry, summed_in[entry.series_id], stated_names(row))
