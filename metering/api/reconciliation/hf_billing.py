"""``POST /v1/hf-billing``: Hugging Face's Billing API, answered from the meter of the partner that runs this service."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.api.fields import AccountParameter, Answer, Body
from metering.api.openapi import problems
from metering.operations.reconciliation.answer_billing import answer_billing
from metering.web.bodies import require_json
from metering.web.principal import Biller, ServiceNow

router = APIRouter(prefix="/v1/hf-billing", tags=["reconciliation"])

PATH = "/v1/hf-billing"
MAX_BODY_BYTES = 4 * 1024 * 1024


class BillingQuestion(Body):
    """The requests that Hugging Face wants to know the cost of."""

    requestIds: list[str] = Field(  # noqa: N815 - as Hugging Face spells it
        description="At most 10,000 ids, as they were sent in the `Inference-Id` header.", examples=[["deadbeef0", "deadbeef1"]]
    )


class RequestCost(Answer):
    """What one request costs."""

    requestId: str = Field(description="The id that was asked for.", examples=["deadbeef0"])  # noqa: N815
    costNanoUsd: int = Field(description="Its cost in whole nano-USD; 0 is a cost.", examples=[100])  # noqa: N815


class BillingAnswer(Answer):
    """The costs that are known; requests of which none is known are left out."""

    requests: list[RequestCost] | None = Field(
        description="In the order asked; null where no cost is known.",
        examples=[[{"requestId": "deadbeef0", "costNanoUsd": 100}]],
    )


@router.post(
    "",
    operation_id="answer_billing",
    summary="Say what requests cost, to Hugging Face",
    responses=problems("not_found", "account_required", "unsupported_media_type", "body_too_large", "not_json", "too_many_ids"),
    dependencies=[Depends(require_json)],
)
def post_billing(
    principal: Biller, service: ServiceNow, body: BillingQuestion, account: AccountParameter = None
) -> BillingAnswer:
    """Answer as Hugging Face's Billing API asks it of partners. An id is the event's own, its `inference_id` or its
    `response_id`. Left out are requests that are not known, have no price, estimated quantities, a route that Hugging Face does
    not bill, or another status than 2xx and 3xx. The first answer for an id is the answer for ever.
    """
    row = principal.find_account(service, account)
    costs = answer_billing(service.engine, row.id, body.requestIds, now=service.clock())
    answers = [RequestCost.model_construct(requestId=each, costNanoUsd=cost) for each, cost in costs.items()]
    return BillingAnswer.model_construct(requests=answers or None)
