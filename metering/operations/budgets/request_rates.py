"""Find the rates that a request may be charged at, before it is made."""

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.instants import MICROS_PER_DAY, date_of
from metering.domain.usage.charging import HF_INFERENCE, route_of
from metering.domain.usage.events import ROUTED, UNKNOWN
from metering.operations.steps.resolve_accounts import BillingAccount, resolve_names
from metering.storage.engine.database import autocommit
from pricing.book import PriceBook
from pricing.partners import is_partner
from pricing.rates import Rate


class RateQuestion(Struct, frozen=True, array_like=True):
    """A kind of request. ``account`` is a name; ``provider`` may be ``unknown``. ``is_routed``: it goes to the router."""

    account: str
    provider: str
    model: str
    operation: str
    is_routed: bool


def request_rates(engine: Engine, book: PriceBook, question: RateQuestion, *, now: int) -> list[Rate]:
    """Return the rates in effect at ``now`` with all their context tiers; of every partner if the router is to choose one."""
    with autocommit(engine) as connection:
        billed = resolve_names(connection, [question.account]).at(question.account, now)
    return list(_rates(book, question, billed, now))


def _rates(book: PriceBook, question: RateQuestion, billed: BillingAccount, now: int) -> Iterator[Rate]:
    for provider in _providers(book, question, now):
        stated = ROUTED if question.is_routed and provider != HF_INFERENCE else ""
        route = route_of(stated, provider, billed.default_route)
        key = (provider, question.model, question.operation)
        for tiers in book.timeline(billed.account_id, route, key).tiers_between(now, now + 1):
            yield from tiers


def _providers(book: PriceBook, question: RateQuestion, now: int) -> list[str]:
    if question.provider != UNKNOWN or not question.is_routed:
        return [question.provider]
    today = date_of(now // MICROS_PER_DAY)
    priced = {key[0] for versions in book.versions for key in versions.entries}
    return sorted(provider for provider in priced if is_partner(provider, today))
