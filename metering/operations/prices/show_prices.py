"""Show prices: which tables are recorded, what applies at an instant, and what applied when.

What was valid at an instant and what was known at an instant are asked apart: ``known_at`` leaves out what was recorded later.
"""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.errors import NotFoundError
from metering.domain.prices.listed_rates import ListedRate
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_tables
from pricing.bundled import bundled_aliases
from pricing.history import PriceVersion, ambiguities, versions_of
from pricing.precedence import streams_of
from pricing.tables import PriceTable, recorded_until


class PriceQuery(Struct, frozen=True):
    """Which prices: of a provider, of models whose name contains a text (any case), of one source, known at an instant."""

    provider: str | None = None
    model_contains: str | None = None
    source: str | None = None
    known_at: int | None = None


def list_tables(engine: Engine, *, known_at: int | None = None) -> list[PriceTable]:
    """Return every price table that was recorded until then, oldest first; None: until now."""
    with read_snapshot(engine) as connection:
        return recorded_until(load_tables(connection), known_at)


def prices_at(engine: Engine, query: PriceQuery, instant: int) -> list[ListedRate]:
    """Return the rates in force at an instant, of every layer and source, by provider, model, route and context tier.

    Where several sources price the same model, which one applies to a request is decided by precedence.
    """
    tables = list_tables(engine, known_at=query.known_at)
    shown = [
        ListedRate(rate, step.table)
        for stream in streams_of(table for table in tables if query.source in (None, table.source))
        for key in stream.steps
        if _asked_for(key[0], key[1], query) and (step := stream.in_force(key, instant)) is not None
        for rate in step.tiers
    ]
    return sorted(
        shown,
        key=lambda price: (
            price.rate.provider, price.rate.model, price.table.route, price.table.layer, price.table.source,
            price.rate.operation, price.rate.context_from, price.rate.id,
        ),
    )  # fmt: skip


class HistoryQuery(Struct, frozen=True):
    """Whose history: a model as anyone names it, at one provider or at all, of one source or of all, known at an instant.

    With ``account_id``, the prices of other accounts' own are left out.
    """

    model: str
    provider: str | None = None
    source: str | None = None
    known_at: int | None = None
    account_id: int | None = None


def price_history(engine: Engine, query: HistoryQuery) -> list[PriceVersion]:
    """Return what each list said of a model, and from when until when, by provider, list and time.

    Raises NotFoundError for a model that no table lists, and for a name that fits several and is none.
    """
    tables = [
        table
        for table in list_tables(engine, known_at=query.known_at)
        if query.source in (None, table.source) and (query.account_id is None or table.account_id in (None, query.account_id))
    ]
    streams, aliases = streams_of(tables), bundled_aliases()
    found = versions_of(streams, query.model, provider=query.provider, aliases=aliases)
    if not found:
        for source, provider, candidates in ambiguities(streams, query.model, provider=query.provider, aliases=aliases):
            fits = f"{query.model[:80]!r} fits several models of {source} at {provider}"
            raise NotFoundError(f"{fits}; write it as the list does: {', '.join(candidates)}")
        at = f" at {query.provider[:40]!r}" if query.provider else ""
        raise NotFoundError(f"no price table lists {query.model[:80]!r}{at}")
    return found


def _asked_for(provider: str, model: str, query: PriceQuery) -> bool:
    if query.provider not in (None, provider):
        return False
    return query.model_contains is None or query.model_contains.casefold() in model.casefold()
