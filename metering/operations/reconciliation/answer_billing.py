"""Answer Hugging Face's question what requests cost, as a partner that runs this service.

The first answer for an id is the answer for ever: it is stored in the transaction that answers, and a later re-rating changes
nothing of it. Left out, as Hugging Face wants it, is what is not known: requests that were not metered, have no price,
estimated quantities, another route than one that Hugging Face bills, or a status other than 2xx and 3xx.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR
from metering.domain.usage.events import BILLED_ROUTES, MAX_ID_LENGTH, PriceGrade, QuantityGrade
from metering.storage.engine.database import concurrent_write, read_snapshot
from metering.storage.reconciliation.billing_answers import (
    AskedRequest,
    answered_costs,
    insert_answers,
    request_key,
    requests_with_ids,
    requests_with_provider_ids,
)
from metering.storage.usage.series import series_by_id

MOST_IDS = 10_000
"""Hugging Face asks for no more at once."""

REACH_BY_ID = 32 * MICROS_PER_DAY
REACH_BY_PROVIDER_ID = 2 * MICROS_PER_HOUR
"""How old a request may be. Hugging Face asks for half an hour; requests by the ids of a response are looked through."""

_PRICED = (PriceGrade.RATED, PriceGrade.REPORTED)


class TooManyIdsError(DomainError):
    """More ids than Hugging Face asks for at once."""

    code = "too_many_ids"


def answer_billing(engine: Engine, account_id: int, request_ids: Sequence[str], *, now: int) -> dict[str, int]:
    """Return the cost of each request that one is known of, in the order asked. Raises TooManyIdsError."""
    if len(request_ids) > MOST_IDS:
        raise TooManyIdsError(f"{len(request_ids)} ids were asked for; ask for at most {MOST_IDS} at once")
    keys = {each: request_key(account_id, each) for each in request_ids if _can_be_an_id(each)}
    with read_snapshot(engine) as connection:
        told = answered_costs(connection, list(keys.values()))
        unknown = [each for each, key in keys.items() if key not in told]
        costs = _costs(connection, account_id, unknown, now) if unknown else {}
    if costs:
        with concurrent_write(engine) as connection:
            new = [(keys[each], found.event_id, found.charge_nano) for each, found in costs.items()]
            if insert_answers(connection, account_id, new, now=now) == len(new):
                told |= {key: cost for key, _, cost in new}
            else:
                # Another process was asked for the same at the same moment: what it stored is the answer.
                told |= answered_costs(connection, [key for key, _, _ in new])
    return {each: told[key] for each, key in keys.items() if key in told}


def _can_be_an_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_LENGTH and text.isprintable()


def _costs(connection: Connection, account_id: int, ids: Sequence[str], now: int) -> dict[str, AskedRequest]:
    found = requests_with_ids(connection, account_id, ids, since=now - REACH_BY_ID)
    left = [each for each in ids if each not in found]
    if left:
        found |= requests_with_provider_ids(connection, account_id, left, since=now - REACH_BY_PROVIDER_ID)
    routes = {
        number: key.route for number, key in series_by_id(connection, {each.series_id for each in found.values()}).items()
    }
    return {each: request for each, request in found.items() if _is_answered(request, routes.get(request.series_id, ""))}


def _is_answered(request: AskedRequest, route: str) -> bool:
    return (
        route in BILLED_ROUTES
        and request.price_grade in _PRICED
        and request.quantity_grade == QuantityGrade.MEASURED
        and request.status is not None
        and 200 <= request.status < 400
    )
