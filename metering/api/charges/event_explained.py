"""``GET /v1/events/{event_id}``: why an event costs what it costs."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from metering.answers.charges.explanations import ChargeExplanationAnswer, charge_explanation_answer
from metering.api.fields import AccountParameter
from metering.api.openapi import problems
from metering.domain.usage.events import MAX_ID_LENGTH, MAX_NAME_LENGTH
from metering.operations.charges.explain_charge import AmbiguousEventError, explain_charge
from metering.web.principal import Reader, ServiceNow
from metering.web.problems import ApiProblem

router = APIRouter(prefix="/v1/events", tags=["events"])


@router.get(
    "/{event_id:path}",
    operation_id="explain_event",
    summary="Explain the cost of an event",
    responses=problems("not_found", "account_required", "ambiguous_event", "events_retired"),
)
def get_event(
    *,
    principal: Reader,
    service: ServiceNow,
    event_id: Annotated[str, Path(max_length=MAX_ID_LENGTH, description="The event's ID.", examples=["req_01"])],
    account: AccountParameter = None,
    source: Annotated[
        str | None,
        Query(
            max_length=MAX_NAME_LENGTH,
            description="The event's source. Required if several sources have an event with this ID.",
            examples=["gateway-1"],
        ),
    ] = None,
) -> ChargeExplanationAnswer:
    """Explain the charge of an event: the rate and its price table, every multiplication, the rounding, and the full history.
    If several sources have an event with the ID, the problem `ambiguous_event` lists them in `sources`.
    """
    row = principal.find_account(service, account)
    try:
        found = explain_charge(service.engine, row.id, event_id, source)
    except AmbiguousEventError as error:
        raise ApiProblem(error.code, str(error), members={"sources": error.sources}) from None
    return charge_explanation_answer(found, row.name)
