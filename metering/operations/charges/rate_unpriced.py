"""Charge the events that were kept unpriced and whose price has become known since.

Each gets a reversal of its unpriced entry and a replacement with the rate that was valid when the request started. A chunk is
one transaction: what an interruption leaves undone, the next run does.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from metering.domain.charges.rating_results import ChargedTotals, RatingResult
from metering.domain.statements.billing_months import billing_month_of
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.roll_up import RollupDeltas
from metering.operations.steps.unpriced import UnpricedEvent, unpriced_among
from metering.storage.charges.charges import ChargeEntry, insert_charges, unpriced_event_ids
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.price_tables import load_tables
from metering.storage.statements.closed_months import closed_through_by_series
from pricing.book import PriceBook

CHUNK = 2_000
REASON = "priced"


def rate_unpriced(
    engine: Engine, *, now: int, account_id: int | None = None, on_progress: Callable[[RatingResult], None] | None = None
) -> RatingResult:
    """Charge what can be charged, of an account or of all (None). Running it again changes nothing more."""
    with read_snapshot(engine) as connection:
        book = PriceBook(load_tables(connection))
    result = RatingResult()
    after = 0
    while True:
        # Looked for without the write lock, because that reads all events; what was found is looked at again under it.
        with read_snapshot(engine) as connection:
            event_ids = unpriced_event_ids(connection, after=after, limit=CHUNK, account_id=account_id)
        if not event_ids:
            return result
        with exclusive_write(engine) as connection:
            _rate(connection, event_ids, book, result, now)
        after = event_ids[-1]
        if on_progress is not None:
            on_progress(result)


def _rate(connection: Connection, event_ids: list[int], book: PriceBook, result: RatingResult, now: int) -> None:
    written: list[ChargeEntry] = []
    deltas = RollupDeltas()
    waiting = list(unpriced_among(connection, event_ids))
    closed_through = closed_through_by_series(connection, {event.entry.series_id for event in waiting})
    for event in waiting:
        charge = event.charge(book)
        if charge.amount_nano is None:
            result.still_unpriced += 1
            continue
        month = billing_month_of(event.entry.billing_month, closed_through.get(event.entry.series_id))
        back = event.entry.reversed()._replace(billing_month=month)
        placed = event.entry._replace(
            billing_month=month,
            amount_nano=charge.amount_nano,
            rate_id=charge.rate_id,
            price_grade=charge.grade,
        )
        written += (back, placed)
        for entry in (back, placed):
            deltas.add_entry(
                entry,
                event.quantities,
                route=event.series.route,
                quantity_grade=event.row.quantity_grade,
                event_time=event.row.event_time,
            )
        _count(result, event, charge.amount_nano)
    insert_charges(connection, written, reason=REASON, now=now)
    add_to_sums(connection, deltas)


def _count(result: RatingResult, event: UnpricedEvent, amount_nano: int) -> None:
    provider, model, _ = event.what
    group = result.by_model.setdefault((provider, model), ChargedTotals())
    for counted in (result, group):
        counted.amount_nano += amount_nano
    result.rated += 1
    group.events += 1
