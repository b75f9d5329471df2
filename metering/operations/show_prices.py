"""Show prices: which tables are recorded, and what applies at an instant."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.errors import NotFoundError
from metering.storage.database import reading
from metering.storage.price_tables import load_tables
from pricing.rates import Rate
from pricing.tables import PriceTable, key_of


class PriceQuery(Struct, frozen=True):
    """Which prices: of a provider, of models whose name contains a text (any case), of one source."""

    provider: str | None = None
    model_contains: str | None = None
    source: str | None = None


class PriceShown(Struct, frozen=True):
    """A rate with the table that holds it."""

    rate: Rate
    table: PriceTable


def list_tables(engine: Engine) -> list[PriceTable]:
    """Return every recorded price table, oldest first."""
    with reading(engine) as connection:
        return load_tables(connection)


def prices_at(engine: Engine, query: PriceQuery, instant: int) -> list[PriceShown]:
    """Return the rates in force at an instant, of every layer and source, by provider, model, route and context tier.

    Where several sources price the same model, which one applies to a request is decided by precedence.
    """
    current: dict[tuple[object, ...], list[PriceShown]] = {}
    for table in list_tables(engine):
        if table.effective_from > instant or (query.source is not None and table.source != query.source):
            continue
        stream = (table.layer, table.route, table.account_id, table.source)
        for key in table.withdrawn:
            current.pop((*stream, *key), None)
        if table.kind == "snapshot":
            listed = {key_of(rate) for rate in table.rates}
            for place in [place for place in current if place[:4] == stream and place[4:] not in listed]:
                del current[place]
        fresh: dict[tuple[object, ...], list[PriceShown]] = {}
        for rate in table.rates:
            if _asked_for(rate, query):
                fresh.setdefault((*stream, *key_of(rate)), []).append(PriceShown(rate, table))
        current.update(fresh)
    shown = [price for prices in current.values() for price in prices]
    return sorted(
        shown,
        key=lambda price: (
            price.rate.provider, price.rate.model, price.table.route, price.table.layer, price.table.source,
            price.rate.operation, price.rate.context_from,
        ),
    )  # fmt: skip


def price_history(engine: Engine, model: str, provider: str | None) -> list[PriceShown]:
    """Return every recorded rate of a model, oldest first. Raises NotFoundError for a model that no table lists."""
    found = [
        PriceShown(rate, table)
        for table in list_tables(engine)
        for rate in table.rates
        if rate.model == model and provider in (None, rate.provider)
    ]
    if not found:
        raise NotFoundError(f"no price table lists {model[:80]!r}" + (f" at {provider[:40]!r}" if provider else ""))
    return sorted(found, key=lambda price: (price.rate.provider, price.table.route, price.table.effective_from))


def _asked_for(rate: Rate, query: PriceQuery) -> bool:
    if query.provider is not None and rate.provider != query.provider:
        return False
    return query.model_contains is None or query.model_contains.casefold() in rate.model.casefold()
