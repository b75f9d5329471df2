"""``/v1/usage/conflicts``: records that contradict counted events."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from metering.answers.usage.conflicts import ConflictAnswer, ConflictPage, conflict_answer
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.errors import NotFoundError
from metering.domain.usage.conflicts import Conflict
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.service.open_service import Service
from metering.operations.usage.resolve_conflicts import accept_conflict, dismiss_conflict, list_conflicts, show_conflict
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Principal, Reader, ServiceNow

router = APIRouter(prefix="/v1/usage/conflicts", tags=["usage"])

_LIST = "conflicts"
_ConflictId = Annotated[int, Path(ge=1, description="ID of the conflict.", examples=[1])]
_DECIDING = ("not_found", "already_decided", "nothing_to_replace", "unsupported_media_type", "body_too_large", "not_json")


class DecisionReason(RequestModel):
    """Why a conflict is accepted or dismissed."""

    reason: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="The reason, recorded with the decision.",
        examples=["the first was cut off"],
    )


@router.get("", operation_id="list_conflicts", summary="List conflicts", responses=problems("not_found", "invalid_cursor"))
def get_conflicts(
    principal: Reader,
    service: ServiceNow,
    page: PageNow,
    account: Annotated[
        str | None, Query(max_length=MAX_NAME_LENGTH, description="Only of this account. Default: all.", examples=["acme"])
    ] = None,
    decided: Annotated[bool, Query(description="Whether to also list those that were decided.", examples=[False])] = False,
) -> ConflictPage:
    """List records that contradict a counted event, oldest first, each side by side with the event that counts now."""
    found = principal.account_or_all(service, account)
    account_id = None if found is None else found.id
    question = [_LIST, account_id, decided]
    after = int(page.start(question, [0])[0])
    conflicts, count = list_conflicts(
        service.engine,
        service.settings.ingest,
        account_id=account_id,
        with_decided=decided,
        after=after,
        limit=page.rows,
    )
    names = account_names(service.engine, {each.account_id for each in conflicts})
    return page.of(
        ConflictPage,
        conflicts,
        lambda each: conflict_answer(each, names),
        key=lambda each: [each.id],
        question=question,
        open=count,
    )


@router.get("/{conflict}", operation_id="show_conflict", summary="Show a conflict", responses=problems("not_found"))
def get_conflict(principal: Reader, service: ServiceNow, conflict: _ConflictId) -> ConflictAnswer:
    """Show a conflict side by side with the event that counts now."""
    return _answer(service, _own(principal, service, conflict))


@router.post(
    "/{conflict}/accept",
    operation_id="accept_conflict",
    summary="Accept a conflict",
    responses=problems(*_DECIDING),
    dependencies=[Depends(require_json)],
)
def post_accept(principal: Admin, service: ServiceNow, conflict: _ConflictId, body: DecisionReason) -> ConflictAnswer:
    """Replace the event with the conflicting record: the charge is reversed and replaced, in a closed month by correction. A
    decision is permanent."""
    _own(principal, service, conflict)
    by, now = principal.key.name or principal.key.prefix, service.clock()
    settings = service.settings.ingest
    return _answer(service, accept_conflict(service.engine, settings, conflict, reason=body.reason, by=by, now=now))


@router.post(
    "/{conflict}/dismiss",
    operation_id="dismiss_conflict",
    summary="Dismiss a conflict",
    responses=problems(*_DECIDING),
    dependencies=[Depends(require_json)],
)
def post_dismiss(principal: Admin, service: ServiceNow, conflict: _ConflictId, body: DecisionReason) -> ConflictAnswer:
    """Keep the event as it is. A decision is permanent."""
    _own(principal, service, conflict)
    by, now = principal.key.name or principal.key.prefix, service.clock()
    settings = service.settings.ingest
    return _answer(service, dismiss_conflict(service.engine, settings, conflict, reason=body.reason, by=by, now=now))


def _own(principal: Principal, service: Service, conflict_id: int) -> Conflict:
    """Return a conflict. One of another account is answered like one that does not exist."""
    conflict = show_conflict(service.engine, service.settings.ingest, conflict_id)
    if principal.account is not None and principal.account.id != conflict.account_id:
        raise NotFoundError(f"no conflict {conflict_id}; `metering usage conflicts` lists them")
    return conflict


def _answer(service: Service, conflict: Conflict) -> ConflictAnswer:
    return conflict_answer(conflict, account_names(service.engine, {conflict.account_id}))
