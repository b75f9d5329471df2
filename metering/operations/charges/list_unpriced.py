"""List the usage that nobody could price yet, by what would have to be known."""

from sqlalchemy import Engine

from metering.domain.charges.spend import TOKEN_KINDS
from metering.domain.charges.unpriced_usage import UnpricedUsage
from metering.operations.steps.unpriced import UnpricedEvent, unpriced_among
from metering.storage.charges.charges import unpriced_event_ids
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_tables
from pricing.book import PriceBook

CHUNK = 5_000


def list_unpriced(engine: Engine, account_id: int | None = None) -> list[UnpricedUsage]:
    """Return what is unpriced, of an account or of all (None), in the order of provider, model, route and reason.

    ``why`` is ``no provider``, ``no route``, ``no rate``, ``quantities unstated``, ``price missing for <kinds>``,
    ``charge too large``, or ``not rated yet`` where a price has become known and rating has not run since.
    """
    groups: dict[tuple[str, str, str, str], UnpricedUsage] = {}
    with read_snapshot(engine) as connection:
        book = PriceBook(load_tables(connection))
        after = 0
        while event_ids := unpriced_event_ids(connection, after=after, limit=CHUNK, account_id=account_id):
            for event in unpriced_among(connection, event_ids):
                _add(groups, event, event.why(book))
            after = event_ids[-1]
    return [groups[key] for key in sorted(groups)]


def _add(groups: dict[tuple[str, str, str, str], UnpricedUsage], event: UnpricedEvent, why: str) -> None:
    time = event.row.event_time
    key = (event.what[0], event.what[1], event.series.route, why)
    group = groups.setdefault(key, UnpricedUsage(*key, 0, 0, time, time))
    group.events += 1
    group.tokens += sum(getattr(event.quantities, kind) for kind in TOKEN_KINDS)
    group.first_time = min(group.first_time, time)
    group.last_time = max(group.last_time, time)
