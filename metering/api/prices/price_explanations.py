"""``/v1/prices/explain``: why a request has its price, or none."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from metering.answers.prices.price_explanations import PriceExplanationAnswer, price_explanation_answer
from metering.api.fields import AccountParameter
from metering.api.openapi import problems
from metering.api.prices.price_parameters import KnownAtParameter
from metering.domain.prices.price_explanations import StatedRequest
from metering.domain.usage.events import MAX_NAME_LENGTH, UNKNOWN
from metering.operations.prices.explain_price import explain_price
from metering.web import query
from metering.web.principal import Reader, ServiceNow
from pricing.quantities import MAX_QUANTITY

router = APIRouter(prefix="/v1/prices", tags=["prices"])

StatedRoute = Literal["routed", "provider_key", "serverless", "unknown"]


@router.get(
    "/explain",
    operation_id="explain_price",
    summary="Explain a price",
    responses=problems("not_found", "invalid_time", "naive_time"),
)
def get_explanation(
    *,
    principal: Reader,
    service: ServiceNow,
    model: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MAX_NAME_LENGTH,
            description="The model as a record states it.",
            examples=["meta-llama/Llama-3.3-70B-Instruct-Turbo:fastest"],
        ),
    ],
    provider: Annotated[
        str,
        Query(
            max_length=MAX_NAME_LENGTH,
            description="The provider that served the request. A suffix of the model's name can state it instead.",
            examples=["together"],
        ),
    ] = UNKNOWN,
    at: Annotated[
        str | None,
        Query(
            max_length=40,
            description="When the request started: RFC 3339, or a date (midnight UTC). Default: now.",
            examples=["2026-11-03T00:00:00Z"],
        ),
    ] = None,
    known_at: KnownAtParameter = None,
    route: Annotated[
        StatedRoute | None,
        Query(description="The billing route. Default: the account's setting.", examples=["routed"]),
    ] = None,
    account: AccountParameter = None,
    operation: Annotated[str, Query(max_length=MAX_NAME_LENGTH, description="The operation.", examples=["chat"])] = "chat",
    context_tokens: Annotated[
        int,
        Query(ge=0, le=MAX_QUANTITY, description="The size of the prompt in tokens, cached tokens included.", examples=[0]),
    ] = 0,
) -> PriceExplanationAnswer:
    """Explain which rate applies to a request: the price lists in order of precedence, each list's name for the model, its
    prices at that instant, which list decides, and the tier for the size of the prompt. If no rate applies, explain why.
    """
    row = principal.account_or_all(service, account)
    found = explain_price(
        service.engine,
        StatedRequest(
            model=model,
            provider=provider,
            at=service.clock() if at is None else query.instant("query.at", at),
            known_at=None if known_at is None else query.instant("query.known_at", known_at),
            route=route or "",
            account=None if row is None else row.name,
            operation=operation,
            context_tokens=context_tokens,
        ),
    )
    return price_explanation_answer(found)
