"""Show prices: the recorded price tables, the prices in force at an instant, and the price history of a model.

``known_at`` leaves out tables that were recorded later. It is separate from the instant at which prices are in force, because a
price can be recorded after it took effect. With ``account_id``, other accounts' own prices are left out.
"""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.errors import NotFoundError
from metering.domain.nearest_name import did_you_mean
from metering.domain.prices.listed_rates import ListedRate
from metering.domain.usage.model_names import provider_name
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_tables
from pricing.bundled import bundled_aliases
from pricing.history import PriceVersion, ambiguities, price_versions
from pricing.precedence import versions_by_list
from pricing.tables import PriceTable, recorded_until


class PriceQuery(Struct, frozen=True):
    """Filters for prices in force: a provider, a text that the model's name contains (in any case), a price list."""

    provider: str | None = None
    model_contains: str | None = None
    source: str | None = None
    known_at: int | None = None
    account_id: int | None = None


class HistoryQuery(Struct, frozen=True):
    """Filters for a price history: a model under any of its names, a provider, a price list."""

    model: str
    provider: str | None = None
    source: str | None = None
    known_at: int | None = None
    account_id: int | None = None


def list_tables(engine: Engine, *, known_at: int | None = None, account_id: int | None = None) -> list[PriceTable]:
    """Return all price tables, oldest first."""
    with read_snapshot(engine) as connection:
        tables = recorded_until(load_tables(connection), known_at)
    return [table for table in tables if account_id is None or table.account_id in (None, account_id)]


def prices_at(engine: Engine, query: PriceQuery, instant: int) -> list[ListedRate]:
    """Return the rates in force at an instant, from every price list, by provider, model, route and context tier.

    If several lists price the same model, precedence decides which rate applies to a request.
    """
    provider = None if query.provider is None else provider_name(query.provider)
    tables = list_tables(engine, known_at=query.known_at, account_id=query.account_id)
    shown = [
        ListedRate(rate, entry.table)
        for versions in versions_by_list(table for table in tables if query.source in (None, table.source))
        for key in versions.entries
        if provider in (None, key[0]) and _contains(key[1], query.model_contains)
        if (entry := versions.in_force(key, instant)) is not None
        for rate in entry.tiers
    ]
    return sorted(shown, key=lambda price: price.sort_key)


def price_history(engine: Engine, query: HistoryQuery) -> list[PriceVersion]:
    """Return each price list's versions of a model's prices, by provider, price list and time.

    Raises NotFoundError for a model that no table lists, and for a name that matches several models.
    """
    provider = None if query.provider is None else provider_name(query.provider)
    tables = list_tables(engine, known_at=query.known_at, account_id=query.account_id)
    lists = versions_by_list(table for table in tables if query.source in (None, table.source))
    aliases = bundled_aliases()
    found = price_versions(lists, query.model, provider=provider, aliases=aliases)
    if not found:
        model = repr(query.model[:80])
        for source, at, candidates in ambiguities(lists, query.model, provider=provider, aliases=aliases):
            raise NotFoundError(f"{model} matches several models of {source} at {at}; use one of {', '.join(candidates)}")
        at = f" at {provider[:40]!r}" if provider else ""
        hint = did_you_mean(query.model[:80], {rate.model for table in tables for rate in table.rates}) or ";"
        raise NotFoundError(f"no price list has the model {model}{at}{hint} `metering prices list --model TEXT` finds models")
    return found


def _contains(model: str, text: str | None) -> bool:
    return text is None or text.casefold() in model.casefold()
