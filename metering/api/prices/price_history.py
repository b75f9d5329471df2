"""``/v1/prices/history``: each price list's prices of a model over time."""

from typing import Annotated

from fastapi import APIRouter, Query

from metering.answers.prices.price_history import PriceHistoryPage, price_version_answer
from metering.api.openapi import problems
from metering.api.prices.price_parameters import KnownAtParameter, ProviderParameter, SourceParameter
from metering.domain.instants import format_instant
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.prices.show_prices import HistoryQuery, price_history
from metering.web import query
from metering.web.pages import PageNow
from metering.web.principal import Reader, ServiceNow
from pricing.history import PriceVersion

router = APIRouter(prefix="/v1/prices", tags=["prices"])

_FIRST_VERSION = ("", "", -1, "", "", -1, "", -1, -1)


@router.get(
    "/history",
    operation_id="list_price_history",
    summary="List a model's price history",
    responses=problems("not_found", "invalid_cursor", "invalid_time", "naive_time"),
)
def get_history(
    *,
    principal: Reader,
    service: ServiceNow,
    page: PageNow,
    model: Annotated[
        str,
        Query(
            max_length=MAX_NAME_LENGTH,
            description="The model, in any case, or a provider's own name for it.",
            examples=["meta-llama/Llama-3.3-70B-Instruct"],
        ),
    ],
    provider: ProviderParameter = None,
    source: SourceParameter = None,
    known_at: KnownAtParameter = None,
) -> PriceHistoryPage:
    """List the prices of a model in each price list that the key can see, and when they were in force. A price is in force
    until the list's next entry for the model. Versions are immutable.
    """
    question = ["price history", model, provider, source, known_at]
    known = None if known_at is None else query.instant("query.known_at", known_at)
    after = page.start(question, _FIRST_VERSION)
    own = None if principal.account is None else principal.account.id
    found = price_history(service.engine, HistoryQuery(model, provider, source, known, own))
    rows = [version for version in found if _key(version) > after]
    names = account_names(service.engine, {version.table.account_id for version in rows[: page.limit]})
    return page.of(
        PriceHistoryPage,
        rows,
        answer=lambda version: price_version_answer(version, names),
        key=_key,
        question=question,
        model=model,
        known_at=None if known is None else format_instant(known),
    )


def _key(version: PriceVersion) -> list[int | str]:
    return [*version.sort_key]
