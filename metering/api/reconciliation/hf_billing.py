"""``POST /v1/hf-billing``: Hugging Face's Billing API, answered from the usage that a partner meters with this service."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.answers.reconciliation.billing_costs import BillingCostsAnswer, billing_costs_answer
from metering.api.fields import AccountParameter, Body
from metering.api.openapi import problems
from metering.operations.reconciliation.answer_billing import answer_billing
from metering.web.bodies import require_json
from metering.web.principal import Biller, ServiceNow

router = APIRouter(prefix="/v1/hf-billing", tags=["reconciliation"])

PATH = "/v1/hf-billing"
MAX_BODY_BYTES = 4 * 1024 * 1024


class BillingQuestion(Body):
    """The requests that Hugging Face asks the cost of."""

    requestIds: list[str] = Field(  # noqa: N815 - as Hugging Face spells it
        description="At most 10,000 request IDs, as sent in the `Inference-Id` header.", examples=[["deadbeef0", "deadbeef1"]]
    )


@router.post(
    "",
    operation_id="answer_billing",
    summary="Answer Hugging Face's Billing API",
    responses=problems("not_found", "account_required", "unsupported_media_type", "body_too_large", "not_json", "too_many_ids"),
    dependencies=[Depends(require_json)],
)
def post_billing(
    principal: Biller, service: ServiceNow, body: BillingQuestion, account: AccountParameter = None
) -> BillingCostsAnswer:
    """Answer what requests cost, as Hugging Face's Billing API asks partners. A request ID is an event's own ID, its
    `inference_id` or its `response_id`. Requests are left out if they are not known, have no price or estimated quantities, are
    on a route that Hugging Face does not bill, or have a status other than 2xx and 3xx. The first answer for an ID is final.
    """
    row = principal.find_account(service, account)
    return billing_costs_answer(answer_billing(service.engine, row.id, body.requestIds, now=service.clock()))
