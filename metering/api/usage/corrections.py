"""``/v1/usage/corrections``: correct or withdraw usage that was ingested wrong, and undo that."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from metering.answers.usage.corrections import (
    CorrectionAnswer,
    CorrectionRunPage,
    correction_answer,
    correction_run_answer,
)
from metering.answers.usage.events import MODEL_EXAMPLE
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.charges.corrections import CorrectionChanges, CorrectionRun, CorrectionScope
from metering.domain.errors import NotFoundError
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.charges.correct_usage import (
    continue_correction,
    list_corrections,
    preview_correction,
    show_correction,
    start_correction,
    start_undo,
)
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Principal, ServiceNow
from metering.web.problems import ApiProblem, FieldError

router = APIRouter(prefix="/v1/usage", tags=["usage"])

_LIST = "corrections"
_BODY = ("not_found", "account_required", "events_retired", "unsupported_media_type", "body_too_large", "not_json")


class WithdrawalOrder(RequestModel):
    """Which usage to withdraw, and whether to write it."""

    account: str | None = Field(
        None,
        max_length=MAX_NAME_LENGTH,
        description="The account. Default: the one that the key is bound to.",
        examples=["acme"],
    )
    source: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="Only records from this source. Default: any.", examples=["openai.ndjson"]
    )
    where: dict[str, str] = Field(
        default_factory=dict,
        description="Only requests recorded with these values: `provider`, `model`, `operation`, `route`, `project`, `key`.",
        examples=[{"provider": "unknown"}],
    )
    start: str | None = Field(
        None, max_length=40, description="Only requests from this time on: RFC 3339, or a date.", examples=["2026-11-01"]
    )
    end: str | None = Field(None, max_length=40, description="Only requests before this time.", examples=["2026-12-01"])
    reason: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="The reason, recorded on every charge. Required with `apply`.",
        examples=["no provider was logged"],
    )
    apply: bool = Field(
        default=False, description="Whether to write the changes. Default: only preview them.", examples=[False]
    )


class CorrectionOrder(WithdrawalOrder):
    """Which usage to correct, the new values, and whether to write them."""

    provider: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The provider that served the requests.", examples=["together"]
    )
    model: str | None = Field(None, max_length=MAX_NAME_LENGTH, description="The model.", examples=[MODEL_EXAMPLE])
    operation: str | None = Field(None, max_length=MAX_NAME_LENGTH, description="The operation.", examples=["chat"])
    route: str | None = Field(
        None, max_length=40, description="The billing route: `routed`, `provider_key` or `serverless`.", examples=["routed"]
    )
    project: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The project; empty for none.", examples=["search"]
    )
    key: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The caller's key; empty for none.", examples=["prod-1"]
    )

    def changes(self) -> CorrectionChanges:
        """Return the new values."""
        names = ("provider", "model", "operation", "route", "project", "key")
        return CorrectionChanges({name: getattr(self, name) for name in names if getattr(self, name) is not None})


class UndoOrder(RequestModel):
    """Why a run is undone."""

    reason: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="The reason, recorded on every charge. Default: which run was undone.",
        examples=["the wrong provider"],
    )


@router.post(
    "/corrections",
    operation_id="correct_usage",
    summary="Correct usage",
    responses=problems(*_BODY, "invalid_time", "naive_time"),
    dependencies=[Depends(require_json)],
)
def post_correction(principal: Admin, service: ServiceNow, body: CorrectionOrder) -> CorrectionAnswer:
    """Preview, or write with `apply`, a new provider, model, operation, route, project or key of requests that were recorded
    without it or with a wrong one. Each request is charged again at the prices of what it is corrected to; charges of closed
    months are corrected in the open one. Repeating a request changes nothing.
    """
    return _correct(principal, service, body, body.changes())


@router.post(
    "/withdrawals",
    operation_id="withdraw_usage",
    summary="Withdraw usage",
    responses=problems(*_BODY, "invalid_time", "naive_time"),
    dependencies=[Depends(require_json)],
)
def post_withdrawal(principal: Admin, service: ServiceNow, body: WithdrawalOrder) -> CorrectionAnswer:
    """Preview, or write with `apply`, that usage is taken back which should not have been ingested. Its charges are reversed.
    Requests that another source recorded too are kept. Ingesting a withdrawn record again counts it again.
    """
    return _correct(principal, service, body, None)


@router.get(
    "/corrections",
    operation_id="list_corrections",
    summary="List correction runs",
    responses=problems("not_found", "invalid_cursor"),
)
def get_corrections(
    principal: Admin,
    service: ServiceNow,
    page: PageNow,
    account: Annotated[
        str | None, Query(max_length=MAX_NAME_LENGTH, description="Only runs of this account. Default: all.", examples=["acme"])
    ] = None,
) -> CorrectionRunPage:
    """List the runs that corrected, withdrew or restored usage, oldest first."""
    found = principal.account_or_all(service, account)
    account_id = None if found is None else found.id
    question = [_LIST, account_id]
    after = int(page.start(question, [0])[0])
    runs = [run for run in list_corrections(service.engine, account_id) if run.id > after][: page.rows]
    names = account_names(service.engine, {run.scope.account_id for run in runs})
    return page.of(
        CorrectionRunPage,
        runs,
        lambda run: correction_run_answer(run, names),
        key=lambda run: [run.id],
        question=question,
    )


@router.post(
    "/corrections/{run}/undo",
    operation_id="undo_correction",
    summary="Undo a correction run",
    responses=problems("not_found", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_undo(
    principal: Admin,
    service: ServiceNow,
    run: Annotated[int, Path(ge=1, description="The run to undo.", examples=[4])],
    body: UndoOrder,
) -> CorrectionAnswer:
    """Undo a run: every request that it changed gets its charge from before back. Requests that changed again since are kept.
    A run can be undone once. After an interruption, continue the new run with `resume`.
    """
    _own(principal, show_correction(service.engine, run))
    started = start_undo(service.engine, run, reason=body.reason, now=service.clock())
    return _finish(service, started)


@router.post(
    "/corrections/{run}/resume",
    operation_id="resume_correction",
    summary="Continue an interrupted correction run",
    responses=problems("not_found"),
)
def post_resume(
    principal: Admin,
    service: ServiceNow,
    run: Annotated[int, Path(ge=1, description="The run to continue.", examples=[4])],
) -> CorrectionAnswer:
    """Continue a run that was interrupted. A finished run is left as it is."""
    found = show_correction(service.engine, run)
    _own(principal, found)
    return _finish(service, found)


def _correct(
    principal: Principal, service: Service, body: WithdrawalOrder, changes: CorrectionChanges | None
) -> CorrectionAnswer:
    scope = CorrectionScope(
        account_id=principal.find_account(service, body.account).id,
        start=None if body.start is None else query.instant("body.start", body.start),
        end=None if body.end is None else query.instant("body.end", body.end),
        source=body.source,
        where=body.where,
    )
    if not body.apply:
        return correction_answer(preview_correction(service.engine, scope, changes, service.settings.ingest), None, {})
    if not body.reason.strip():
        detail = "reason is required with apply"
        raise ApiProblem("invalid_request", detail, errors=[FieldError("body.reason", "invalid_request", detail)])
    return _finish(service, start_correction(service.engine, scope, changes, reason=body.reason, now=service.clock()))


def _finish(service: Service, run: CorrectionRun) -> CorrectionAnswer:
    result = continue_correction(service.engine, run.id, service.settings.ingest, clock=service.clock)
    return correction_answer(result.done_now, result.run, account_names(service.engine, {run.scope.account_id}))


def _own(principal: Principal, run: CorrectionRun) -> None:
    """Answer a run of another account like one that does not exist."""
    if principal.account is not None and principal.account.id != run.scope.account_id:
        raise NotFoundError(f"no correction run {run.id}; `metering usage runs` shows all runs")
