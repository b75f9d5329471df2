"""Charge unpriced events for which a price is known now.

Each event gets a reversal of its unpriced entry, and a replacement at the rate that was in effect when the request started.
Each chunk is one transaction; after an interruption, the next run completes the work.
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
from metering.storage.prices.price_books import load_book
from metering.storage.statements.closed_months import closed_through_by_series
from pricing.book import PriceBook

CHUNK = 2_000
REASON = "priced"


def rate_unpriced(
    engine: Engine, *, now: int, account_id: int | None = None, on_progress: Callable[[RatingResult], None] | None = None
) -> RatingResult:
    """Charge the unpriced events of an account, or of all (None), as far as prices are known. Repeating it changes nothing."""
    with read_snapshot(engine) as connection:
        book = load_book(connection)
    result = RatingResult()
    after = 0
    while True:
        # The search reads all events, so it runs without the write lock; the events found are read again under it.
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
    unpriced = list(unpriced_among(connection, event_ids))
    closed_through = closed_through_by_series(connection, {event.entry.series_id for event in unpriced})
    for event in unpriced:
        charge = event.charge(book)
        if charge.amount_nano is None:
            result.still_unpriced += 1
            continue
        month = billing_month_of(event.entry.billing_month, closed_through.get(event.entry.series_id))
        reversal = event.entry.reversed()._replace(billing_month=month)
        replacement = event.entry._replace(
            billing_month=month,
            amount_nano=charge.amount_nano,
            rate_id=charge.rate_id,
            price_grade=charge.grade,
        )
        written += (reversal, replacement)
        for entry in (reversal, replacement):
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
    provider, model, _ = event.priced_as
    group = result.by_model.setdefault((provider, model), ChargedTotals())
    for totals in (result, group):
        totals.amount_nano += amount_nano
    result.rated += 1
    group.events += 1
