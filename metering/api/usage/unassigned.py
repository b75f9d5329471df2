"""``/v1/unassigned``: usage of undeclared accounts, and assigning it to an account."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.answers.usage.unassigned import (
    AssignmentAnswer,
    UnassignedUsagePage,
    assignment_answer,
    unassigned_usage_answer,
)
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.usage.assigning import AssignmentScope
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.usage.assign_usage import assign_usage, list_unassigned, preview_assignment
from metering.web import query
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, ServiceNow

router = APIRouter(prefix="/v1/unassigned", tags=["accounts"])

_LIST = "unassigned"


class AssignmentRequest(RequestModel):
    """Which usage to assign to which account."""

    account: str = Field(max_length=MAX_NAME_LENGTH, description="The account to assign it to.", examples=["acme"])
    name: str = Field(
        max_length=MAX_NAME_LENGTH,
        description="The account name in the records, exactly; empty for records without one.",
        examples=["acme-prod"],
    )
    source: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only from this source. Default: any.", examples=["gateway-1"]
    )
    project: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only of this project. Default: any.", examples=["search"]
    )
    key: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only made with this caller's key. Default: any.", examples=["prod-1"]
    )
    start: str | None = Field(
        None, max_length=40, description="Only requests from this time on: RFC 3339, or a date.", examples=["2026-11-01"]
    )
    end: str | None = Field(None, max_length=40, description="Only requests before this time.", examples=["2026-12-01"])
    apply: bool = Field(default=False, description="Write the assignment. Default: only preview it.", examples=[False])


@router.get(
    "",
    operation_id="list_unassigned",
    summary="List usage of undeclared accounts",
    responses=problems("bound_key", "invalid_cursor"),
)
def get_unassigned(principal: Admin, service: ServiceNow, page: PageNow) -> UnassignedUsagePage:
    """List usage of undeclared accounts, by the account name in its records and their source. The key must not be bound to an
    account, because it is not known who the usage belongs to."""
    principal.require_unbound()
    after = None
    if page.cursor is not None:
        name, source = page.start(_LIST, ["", ""])
        after = str(name), str(source)
    usage = list_unassigned(service.engine, after=after, limit=page.rows)
    return page.of(
        UnassignedUsagePage, usage, unassigned_usage_answer, key=lambda each: [each.name, each.source], question=_LIST
    )


@router.post(
    "/assign",
    operation_id="assign_usage",
    summary="Assign usage to an account",
    responses=problems(
        "bound_key", "not_found", "unsupported_media_type", "body_too_large", "not_json", "invalid_time", "naive_time"
    ),
    dependencies=[Depends(require_json)],
)
def post_assignment(principal: Admin, service: ServiceNow, body: AssignmentRequest) -> AssignmentAnswer:
    """Preview what assigning usage of an undeclared account would change, or, with `apply`, write it. Assigning is permanent:
    charges are reversed and replaced at the account's prices. Repeating a request changes nothing; after an interruption, the
    same request completes the rest.
    """
    principal.require_unbound()
    scope = AssignmentScope(
        name=body.name,
        start=None if body.start is None else query.instant("body.start", body.start),
        end=None if body.end is None else query.instant("body.end", body.end),
        source=body.source,
        project=body.project,
        key=body.key,
    )
    settings = service.settings.ingest
    if body.apply:
        result = assign_usage(service.engine, body.account, scope, settings, clock=service.clock)
    else:
        result = preview_assignment(service.engine, body.account, scope, settings)
    return assignment_answer(body.account, result, applied=body.apply)
