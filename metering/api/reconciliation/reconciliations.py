"""``/v1/reconciliations``: does the bill agree, and if not, exactly why not."""

from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from metering.api.fields import DEFAULT_PAGE, USD_PATTERN, AccountParameter, CursorParameter, LimitParameter, RequestModel
from metering.api.openapi import problems
from metering.api.reconciliation.invoices import name_of, owned_invoice
from metering.api.reconciliation.reconciliation_answers import ReportAnswer, RunAnswer, RunPage, VarianceReportAnswer
from metering.domain.errors import NotFoundError
from metering.domain.reconciliation.records import ReconciliationReport
from metering.domain.reconciliation.variances import Tolerance
from metering.exports.reconciliation_csv import evidence_csv, reconciliation_csv
from metering.exports.reconciliation_html import reconciliation_html
from metering.exports.reconciliation_json import explanation_json, report_json, run_json
from metering.operations.reconciliation.explain_variance import explain_variance
from metering.operations.reconciliation.export_evidence import export_evidence, export_requests
from metering.operations.reconciliation.reconcile import list_runs, reconcile, show_reconciliation
from metering.operations.reconciliation.resolve_variance import resolve_variance
from metering.operations.service.open_service import Service
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Principal, Reader, ServiceNow
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/reconciliations", tags=["reconciliation"])

MAX_EVIDENCE = 1_000
_CSV = {
    "text/csv": {
        "schema": {"type": "string", "description": "RFC 4180."},
        "example": "row,reconciliation,...\r\nours,3,...\r\n",
    }
}
_HTML = {"text/html": {"schema": {"type": "string", "description": "A page of its own."}, "example": "<!doctype html>..."}}

RunId = Annotated[int, Path(ge=1, le=2**53, description="The run.", examples=[3])]
VarianceId = Annotated[int, Path(ge=1, le=2**53, description="The variance.", examples=[41])]
EvidenceLimit = Annotated[int, Query(ge=0, le=MAX_EVIDENCE, description="How much evidence at most.", examples=[100])]


class NewRun(RequestModel):
    """Which invoice to hold against our usage."""

    invoice: int = Field(ge=1, le=2**53, description="The invoice.", examples=[7])
    tolerance_usd: str | None = Field(
        None, pattern=USD_PATTERN, description="What may differ in all. Left out: by the settings.", examples=["0.01"]
    )


class NewDecision(RequestModel):
    """What is decided about a variance."""

    state: Literal["open", "explained", "accepted", "disputed", "resolved"] = Field(
        description="The state.", examples=["disputed"]
    )
    reason: str = Field(min_length=1, max_length=255, description="Why; it stays with the variance.", examples=["asked them"])
    who: str | None = Field(None, max_length=255, description="Who decides. Left out: the key, by its name.", examples=["ada"])
    correct: bool = Field(
        default=False,
        description="With `accepted`: write what is not corrected yet to the account's month as an adjustment.",
        examples=[False],
    )


@router.post(
    "",
    operation_id="reconcile",
    summary="Hold a bill against what was metered",
    status_code=201,
    responses=problems("not_found", "invalid_amount", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_run(principal: Admin, service: ServiceNow, body: NewRun) -> ReportAnswer:
    """Hold an invoice against our usage as it is now, and record what differs and why. What was decided in an earlier run holds
    where the same cause comes to the same amount.
    """
    invoice = owned_invoice(principal, service, body.invoice)
    tolerance = service.settings.reconcile.tolerance_of(invoice.format)
    if body.tolerance_usd is not None:
        tolerance = Tolerance(parse_usd(body.tolerance_usd, unit_per_usd=NANO_PER_USD))
    report = reconcile(service.engine, invoice.id, service.catalogue, tolerance=tolerance, now=service.clock())
    return ReportAnswer.model_validate(report_json(report, name_of(service, invoice.account_id)))


@router.get("", operation_id="list_reconciliations", summary="List runs", responses=problems("not_found", "invalid_cursor"))
def get_runs(
    principal: Reader,
    service: ServiceNow,
    account: AccountParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> RunPage:
    """List runs, newest first, without their variances."""
    row = principal.account_or_all(service, account)
    account_id = None if row is None else row.id
    question = ["reconciliations", account_id]
    before = None if cursor is None else int(read_cursor(cursor, question, [int])[0])
    found = list_runs(service.engine, account_id=account_id, before=before, limit=limit + 1)
    return RunPage(
        items=[RunAnswer.model_validate(run_json(each)) for each in found[:limit]],
        next_cursor=write_cursor([found[limit - 1].id], question) if len(found) > limit else None,
    )


@router.get(
    "/{run}.csv",
    operation_id="download_reconciliation",
    summary="Download a run as CSV",
    response_class=Response,
    responses={200: {"description": "The bridge and the variances.", "content": _CSV}, **problems("not_found")},
)
def get_run_csv(principal: Reader, service: ServiceNow, run: RunId) -> Response:
    """Download the bridge and the variances of a run: one row a step, one a variance."""
    text = reconciliation_csv(_owned(principal, service, run))
    return _file(text.encode(), "text/csv; charset=utf-8; header=present", f"reconciliation-{run}.csv")


@router.get(
    "/{run}.html",
    operation_id="download_reconciliation_page",
    summary="Download a run as a page",
    response_class=Response,
    responses={200: {"description": "The bridge, drawn, and the variances.", "content": _HTML}, **problems("not_found")},
)
def get_run_html(principal: Reader, service: ServiceNow, run: RunId) -> Response:
    """Download a run as one HTML page that needs nothing else: the bridge as a waterfall, the variances below it."""
    report = _owned(principal, service, run)
    page = reconciliation_html(report, name_of(service, report.run.account_id), made_at=service.clock())
    return _file(page.encode(), "text/html; charset=utf-8", f"reconciliation-{run}.html")


@router.get("/{run}", operation_id="show_reconciliation", summary="Show a run", responses=problems("not_found"))
def get_run(principal: Reader, service: ServiceNow, run: RunId) -> ReportAnswer:
    """Show what a run found, with the decisions that hold now."""
    report = _owned(principal, service, run)
    return ReportAnswer.model_validate(report_json(report, name_of(service, report.run.account_id)))


@router.get(
    "/{run}/variances/{variance}.csv",
    operation_id="download_evidence",
    summary="Download the evidence of a variance as CSV",
    response_class=StreamingResponse,
    responses={
        200: {"description": "One row a difference, then one a request that would explain it.", "content": _CSV},
        **problems("not_found"),
    },
)
def get_evidence(principal: Reader, service: ServiceNow, run: RunId, variance: VarianceId) -> Response:
    """Download every request and line that shows a variance, with what both sides say: what a dispute needs.

    Where it is about sums, the requests of ours that would explain it follow.
    """
    _owned_variance(principal, service, run, variance)
    evidence = chain(export_evidence(service.engine, variance), export_requests(service.engine, variance))
    rows = (row.encode() for row in evidence_csv(evidence))
    return StreamingResponse(
        rows,
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="variance-{variance}.csv"'},
    )


@router.get(
    "/{run}/variances/{variance}", operation_id="show_variance", summary="Show a variance", responses=problems("not_found")
)
def get_variance(
    principal: Reader, service: ServiceNow, run: RunId, variance: VarianceId, evidence: EvidenceLimit = 100
) -> VarianceReportAnswer:
    """Show a variance with some of the differences that show it, and everything that was decided about it."""
    _owned_variance(principal, service, run, variance)
    return VarianceReportAnswer.model_validate(explanation_json(explain_variance(service.engine, variance, limit=evidence)))


@router.post(
    "/{run}/variances/{variance}/decisions",
    operation_id="resolve_variance",
    summary="Decide on a variance",
    status_code=201,
    responses=problems("not_found", "already_exists", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_decision(
    principal: Admin, service: ServiceNow, run: RunId, variance: VarianceId, body: NewDecision
) -> VarianceReportAnswer:
    """Decide on a variance that the newest run found, with who and why. Accepting one can write a correction to the month."""
    _owned_variance(principal, service, run, variance)
    resolve_variance(
        service.engine,
        variance,
        body.state,
        who=body.who or f"key {principal.key.name}",
        reason=body.reason,
        correct=body.correct,
        now=service.clock(),
    )
    return VarianceReportAnswer.model_validate(explanation_json(explain_variance(service.engine, variance, limit=100)))


def _owned(principal: Principal, service: Service, run: int) -> ReconciliationReport:
    report = show_reconciliation(service.engine, run)
    if principal.account is not None and report.run.account_id != principal.account.id:
        raise NotFoundError(f"there is no reconciliation {run}")
    return report


def _owned_variance(principal: Principal, service: Service, run: int, variance: int) -> None:
    if variance not in {each.id for each in _owned(principal, service, run).variances}:
        raise NotFoundError(f"there is no variance {variance}")


def _file(content: bytes, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})
