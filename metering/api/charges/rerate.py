"""``POST /v1/prices/rerate``: re-rate existing charges at corrected prices."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.answers.charges.rerating import (
    MODEL_EXAMPLE,
    RerateAnswer,
    rerate_preview_answer,
    rerate_result_answer,
)
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.charges.rerating import RerateScope
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.charges.rerate import continue_rerate, preview_rerate, start_rerate
from metering.web import query
from metering.web.bodies import require_json
from metering.web.principal import Admin, ServiceNow
from metering.web.problems import ApiProblem, FieldError

router = APIRouter(prefix="/v1/prices", tags=["prices"])


class RerateOrder(RequestModel):
    """Which charges to re-rate, and whether to write the changes."""

    account: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="Re-rate only this account's charges. Default: all accounts, or the account that the key is bound to.",
        examples=["acme"],
    )
    start: str = Field(
        max_length=40,
        description="Start of the period of the requests: RFC 3339, or a date (midnight UTC).",
        examples=["2026-11-01"],
    )
    end: str = Field(max_length=40, description="End of the period, exclusive.", examples=["2026-12-01T00:00:00Z"])
    provider: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only this provider. Default: all.", examples=["together"]
    )
    model: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only this model. Default: all.", examples=[MODEL_EXAMPLE]
    )
    include_reported: bool = Field(
        default=False,
        description="Whether to also replace costs that the provider reported, where a price is known now.",
        examples=[False],
    )
    reason: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="The reason, recorded on every new charge. Required with `apply`.",
        examples=["the contract's prices were recorded late"],
    )
    apply: bool = Field(default=False, description="Whether to write the changes. Default: only show them.", examples=[False])


@router.post(
    "/rerate",
    operation_id="rerate",
    summary="Re-rate charges at corrected prices",
    responses=problems("not_found", "unsupported_media_type", "body_too_large", "not_json", "invalid_time", "naive_time"),
    dependencies=[Depends(require_json)],
)
def post_rerate(principal: Admin, service: ServiceNow, body: RerateOrder) -> RerateAnswer:
    """Show how existing charges would change at the prices known now, or write the changes with `apply`: each charge with a
    different price is reversed and replaced. Correct charges are left alone, so a repeated request changes nothing.

    The response to `apply` is sent when the run is finished. Repeat the request to complete an interrupted run.
    """
    account = principal.account_or_all(service, body.account)
    scope = RerateScope(
        account_id=None if account is None else account.id,
        start=query.instant("body.start", body.start),
        end=query.instant("body.end", body.end),
        provider=body.provider,
        model=body.model,
        include_reported=body.include_reported,
    )
    if scope.end <= scope.start:
        raise _invalid("body.end", "end must be after start")
    if not body.apply:
        found = preview_rerate(service.engine, scope)
        return rerate_preview_answer(found, account_names(service.engine, {group.account_id for group in found.by_group}))
    if not body.reason.strip():
        raise _invalid("body.reason", "reason is required with apply")
    run = start_rerate(service.engine, scope, reason=body.reason, now=service.clock())
    result = continue_rerate(service.engine, run.id, clock=service.clock)
    return rerate_result_answer(result, account_names(service.engine))


def _invalid(field: str, detail: str) -> ApiProblem:
    return ApiProblem("invalid_request", detail, errors=[FieldError(field, "invalid_request", detail)])
