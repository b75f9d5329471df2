"""Explain a price: what a request to a model would be charged with, and why, or what is missing."""

from sqlalchemy import Engine

from metering.domain.accounts.accounts import Account
from metering.domain.prices.price_explanations import PriceExplanation, StatedRequest
from metering.domain.usage.charging import route_of
from metering.domain.usage.events import ROUTED, SERVERLESS, UNKNOWN
from metering.domain.usage.model_names import provider_name, split_model
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_tables import load_tables
from pricing.book import PriceBook
from pricing.explain import Question, explain
from pricing.tables import recorded_until


def explain_price(engine: Engine, asked: StatedRequest) -> PriceExplanation:
    """Say which rate applies to a request, and why. Raises NotFoundError for the account."""
    with read_snapshot(engine) as connection:
        account = None if asked.account is None else find_account(connection, asked.account)
        book = PriceBook(recorded_until(load_tables(connection), asked.known_at))
    model, provider = split_model(asked.model, provider_name(asked.provider))
    route, route_from = _route(asked.route, provider, account)
    question = Question(
        provider=provider,
        model=model,
        instant=asked.at,
        route=route,
        account_id=None if account is None else account.id,
        operation=asked.operation,
        context_tokens=asked.context_tokens,
    )
    return PriceExplanation(asked, asked.model[len(model) :], route_from, account, explain(book, question))


def _route(stated: str, provider: str, account: Account | None) -> tuple[str, str]:
    """Return the route that an event of the account would have, and how it is known."""
    route = route_of(stated, provider, "" if account is None else account.default_route)
    if stated:
        return route, "stated"
    if route == UNKNOWN:
        return (ROUTED, "assumed") if account is None else (UNKNOWN, "unknown")
    return route, "provider" if route == SERVERLESS and route_of("", provider, "") == SERVERLESS else "account"
