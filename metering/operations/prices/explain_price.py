"""Explain a price: which rate would apply to a request, and why, or what is missing."""

from sqlalchemy import Engine

from metering.domain.accounts.accounts import Account
from metering.domain.prices.price_explanations import PriceExplanation, StatedRequest
from metering.domain.usage.charging import route_of
from metering.domain.usage.events import ROUTED, SERVERLESS, UNKNOWN
from metering.domain.usage.model_names import provider_name, split_model
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_books import load_book
from pricing.explain import RateQuery, explain
from pricing.quantities import check_count


def explain_price(engine: Engine, request: StatedRequest) -> PriceExplanation:
    """Explain which rate applies to a request.

    Raises NotFoundError for the account, and pricing's InvalidQuantityError for the size of the prompt.
    """
    check_count("context_tokens", request.context_tokens)
    with read_snapshot(engine) as connection:
        account = None if request.account is None else find_account(connection, request.account)
        book = load_book(connection, known_at=request.known_at)
    model, provider = split_model(request.model, provider_name(request.provider))
    route, route_from = _route(request.route, provider, account)
    query = RateQuery(
        provider=provider,
        model=model,
        instant=request.at,
        route=route,
        account_id=None if account is None else account.id,
        operation=request.operation,
        context_tokens=request.context_tokens,
    )
    return PriceExplanation(request, request.model[len(model) :], route_from, account, explain(book, query))


def _route(stated: str, provider: str, account: Account | None) -> tuple[str, str]:
    """Return the route that an event of the account would have, and how it is known."""
    route = route_of(stated, provider, "" if account is None else account.default_route)
    if stated:
        return route, "stated"
    if route == UNKNOWN:
        return (ROUTED, "assumed") if account is None else (UNKNOWN, "unknown")
    return route, "provider" if route == SERVERLESS and route_of("", provider, "") == SERVERLESS else "account"
