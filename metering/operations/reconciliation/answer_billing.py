"""Answer Hugging Face's Billing API, which asks a partner what requests cost.

The first answer for a request ID is final: it is stored in the transaction that answers, and a later re-rating does not change
it. Requests without a known cost are left out, as the API requires: those that were not metered, have no price or estimated
quantities, are on a route that Hugging Face does not bill, or have a status other than 2xx and 3xx.
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

MAX_IDS = 10_000
"""Hugging Face asks for no more at once."""

MAX_AGE_BY_ID = 32 * MICROS_PER_DAY
MAX_AGE_BY_PROVIDER_ID = 2 * MICROS_PER_HOUR
"""How old a request can be. Hugging Face asks for half an hour; a search by the IDs of a response scans the requests."""

_PRICED = (PriceGrade.RATED, PriceGrade.REPORTED)


class TooManyIdsError(DomainError):
    """More request IDs than Hugging Face asks for at once."""

    code = "too_many_ids"


def answer_billing(engine: Engine, account_id: int, request_ids: Sequence[str], *, now: int) -> dict[str, int]:
    """Return the cost of each request whose cost is known, in the order of the IDs. Raises TooManyIdsError."""
    if len(request_ids) > MAX_IDS:
        raise TooManyIdsError(f"got {len(request_ids)} request IDs; send at most {MAX_IDS} at once")
    keys = {each: request_key(account_id, each) for each in request_ids if _is_plausible_id(each)}
    with read_snapshot(engine) as connection:
        answers = answered_costs(connection, list(keys.values()))
        unanswered = [each for each, key in keys.items() if key not in answers]
        costs = _costs(connection, account_id, unanswered, now) if unanswered else {}
    if costs:
        with concurrent_write(engine) as connection:
            new = [(keys[each], request.event_id, request.charge_nano) for each, request in costs.items()]
            if insert_answers(connection, account_id, new, now=now) == len(new):
                answers |= {key: cost for key, _, cost in new}
            else:
                # Another process answered for some of the same requests at the same moment: what it stored is the answer.
                answers |= answered_costs(connection, [key for key, _, _ in new])
    return {each: answers[key] for each, key in keys.items() if key in answers}


def _is_plausible_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_LENGTH and text.isprintable()


def _costs(connection: Connection, account_id: int, ids: Sequence[str], now: int) -> dict[str, AskedRequest]:
    requests = requests_with_ids(connection, account_id, ids, since=now - MAX_AGE_BY_ID)
    left = [each for each in ids if each not in requests]
    if left:
        requests |= requests_with_provider_ids(connection, account_id, left, since=now - MAX_AGE_BY_PROVIDER_ID)
    routes = {
        number: key.route for number, key in series_by_id(connection, {each.series_id for each in requests.values()}).items()
    }
    return {each: request for each, request in requests.items() if _is_answered(request, routes.get(request.series_id, ""))}


def _is_answered(request: AskedRequest, route: str) -> bool:
    return (
        route in BILLED_ROUTES
        and request.price_grade in _PRICED
        and request.quantity_grade == QuantityGrade.MEASURED
        and request.status is not None
        and 200 <= request.status < 400
    )
