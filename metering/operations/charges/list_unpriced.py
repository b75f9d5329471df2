"""List unpriced usage, grouped by what is missing to price it."""

from sqlalchemy import Engine

from metering.domain.charges.unpriced_usage import UnpricedUsage
from metering.operations.steps.unpriced import UnpricedEvent, unpriced_among
from metering.storage.charges.charges import unpriced_event_ids
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_books import load_book
from pricing.possible import PossibleCost, PossibleCosts
from pricing.quantities import TOKEN_KINDS

CHUNK = 5_000


def list_unpriced(engine: Engine, account_id: int | None = None) -> list[UnpricedUsage]:
    """Return the unpriced usage of an account, or of all (None), by provider, model, route and reason."""
    groups: dict[tuple[str, str, str, str], UnpricedUsage] = {}
    with read_snapshot(engine) as connection:
        book = load_book(connection)
        costs = PossibleCosts(book)
        after = 0
        while event_ids := unpriced_event_ids(connection, after=after, limit=CHUNK, account_id=account_id):
            for event in unpriced_among(connection, event_ids):
                _add(groups, event, event.why(book), event.possible(costs))
            after = event_ids[-1]
    return [groups[key] for key in sorted(groups)]


def _add(
    groups: dict[tuple[str, str, str, str], UnpricedUsage], event: UnpricedEvent, why: str, possible: PossibleCost | None
) -> None:
    time = event.row.event_time
    provider, model, _ = event.priced_as
    key = (provider, model, event.series.route, why)
    group = groups.setdefault(key, UnpricedUsage(*key, 0, 0, time, time))
    group.events += 1
    group.possible = group.possible if possible is None else possible.plus(group.possible)
    group.tokens += sum(getattr(event.quantities, kind) for kind in TOKEN_KINDS)
    group.first_time = min(group.first_time, time)
    group.last_time = max(group.last_time, time)
