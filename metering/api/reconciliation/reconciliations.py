"""``/v1/reconciliations``: how an invoice differs from metered usage, and why."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from metering.answers.reconciliation.runs import (
    ReconciliationAnswer,
    ReconciliationRunPage,
    reconciliation_answer,
    reconciliation_run_answer,
)
from metering.answers.reconciliation.variances import ExplainedVarianceAnswer, explained_variance_answer
from metering.api.fields import USD_PATTERN, AccountParameter, RequestModel
from metering.api.openapi import problems
from metering.api.reconciliation.invoices import bound_account_id
from metering.domain.reconciliation.readings import TotalReading
from metering.domain.reconciliation.records import ReconciliationReport
from metering.domain.reconciliation.variances import Tolerance, check_decision
from metering.exports.reconciliation_csv import evidence_csv, reconciliation_csv
from metering.exports.reconciliation_html import reconciliation_html
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.reconciliation.explain_variance import (
    DEFAULT_EVIDENCE,
    MAX_EVIDENCE,
    explain_variance,
    show_variance,
)
from metering.operations.reconciliation.export_evidence import export_all_evidence
from metering.operations.reconciliation.read_total import choose_reading
from metering.operations.reconciliation.reconcile import list_runs, reconcile, show_reconciliation
from metering.operations.reconciliation.resolve_variance import resolve_variance
from metering.operations.reconciliation.show_invoices import show_invoice
from metering.operations.service.open_service import Service
from metering.web.bodies import require_json
from metering.web.downloads import disposition
from metering.web.pages import PageNow
from metering.web.principal import Admin, Principal, Reader, ServiceNow
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/reconciliations", tags=["reconciliation"])

_NEWEST = 2**63 - 1
_CSV = {
    "text/csv": {
        "schema": {"type": "string", "description": "RFC 4180."},
        "example": "row,reconciliation,...\r\nours,3,...\r\n",
    }
}
_CSV_TYPE = "text/csv; charset=utf-8; header=present"
_HTML = {"text/html": {"schema": {"type": "string", "description": "A self-contained page."}, "example": "<!doctype html>..."}}

RunId = Annotated[int, Path(ge=1, le=2**53, description="The run.", examples=[3])]
VarianceId = Annotated[int, Path(ge=1, le=2**53, description="The variance.", examples=[41])]
EvidenceLimit = Annotated[
    int, Query(ge=0, le=MAX_EVIDENCE, description="Maximum number of items, and of requests.", examples=[DEFAULT_EVIDENCE])
]


def _reads(effect: str) -> Any:
    return Field(
        None,
        description=f"What a pasted total adds up: the whole `statement`, or `usage` alone. {effect}",
        examples=["statement"],
    )


class NewReconciliationRun(RequestModel):
    """An invoice to reconcile with metered usage."""

    invoice: int = Field(ge=1, le=2**53, description="The invoice.", examples=[7])
    tolerance_usd: str | None = Field(
        None,
        pattern=USD_PATTERN,
        description="Tolerated difference in all. Default: by the settings, for the format of the invoice.",
        examples=["0.01"],
    )
    reads: Literal["statement", "usage"] | None = _reads("It is kept for later runs. Default: as chosen before.")


class NewVarianceDecision(RequestModel):
    """A decision on a variance."""

    state: Literal["open", "explained", "accepted", "disputed", "resolved"] = Field(
        description="The new state.", examples=["disputed"]
    )
    reason: str = Field(
        min_length=1, max_length=255, description="The reason; it is recorded with the variance.", examples=["asked them"]
    )
    who: str | None = Field(None, max_length=255, description="Who decides. Default: the API key's name.", examples=["ada"])
    correct: bool = Field(
        default=False,
        description="With `accepted`: adjust the account's statement by the amount that is not corrected yet.",
        examples=[False],
    )
    reads: Literal["statement", "usage"] | None = _reads(
        "If the run compared it with the other, a new run is appended and its variance is decided on."
    )


@router.post(
    "",
    operation_id="reconcile",
    summary="Reconcile an invoice",
    status_code=201,
    responses=problems("not_found", "invalid_amount", "unsupported_media_type", "body_too_large", "not_json"),
    dependencies=[Depends(require_json)],
)
def post_run(principal: Admin, service: ServiceNow, body: NewReconciliationRun) -> ReconciliationAnswer:
    """Compare an invoice with metered usage as it is now, and record what differs and why. A decision from an earlier run
    carries over if the same cause has the same amount.
    """
    show_invoice(service.engine, body.invoice, account_id=bound_account_id(principal))
    tolerance = None
    if body.tolerance_usd is not None:
        tolerance = Tolerance(parse_usd(body.tolerance_usd, unit_per_usd=NANO_PER_USD))
    report = reconcile(
        service.engine,
        body.invoice,
        service.catalog,
        tolerance=tolerance,
        settings=service.settings.reconcile,
        reading=None if body.reads is None else TotalReading(body.reads),
        now=service.clock(),
    )
    return _answer(service, report)


@router.get(
    "", operation_id="list_reconciliations", summary="List reconciliations", responses=problems("not_found", "invalid_cursor")
)
def get_runs(principal: Reader, service: ServiceNow, page: PageNow, account: AccountParameter = None) -> ReconciliationRunPage:
    """List runs, newest first, without their variances."""
    row = principal.account_or_all(service, account)
    account_id = None if row is None else row.id
    question = ["reconciliations", account_id]
    before = int(page.start(question, [_NEWEST])[0])
    found = list_runs(service.engine, account_id=account_id, before=before, limit=page.rows)
    names = account_names(service.engine, [each.account_id for each in found])
    return page.of(
        ReconciliationRunPage,
        found,
        answer=lambda each: reconciliation_run_answer(each, names),
        key=lambda each: [each.id],
        question=question,
    )


@router.get(
    "/{run}.csv",
    operation_id="download_reconciliation",
    summary="Download a reconciliation as CSV",
    response_class=StreamingResponse,
    responses={200: {"description": "The bridge and the variances.", "content": _CSV}, **problems("not_found")},
)
def get_run_csv(principal: Reader, service: ServiceNow, run: RunId) -> Response:
    """Download the bridge and the variances of a run: one row per step and per variance."""
    report = show_reconciliation(service.engine, run, account_id=bound_account_id(principal))
    headers = {"content-disposition": disposition(f"reconciliation-{run}.csv")}
    return StreamingResponse(reconciliation_csv(report), media_type=_CSV_TYPE, headers=headers)


@router.get(
    "/{run}.html",
    operation_id="download_reconciliation_page",
    summary="Download a reconciliation as a page",
    response_class=StreamingResponse,
    responses={200: {"description": "The bridge as a chart, and the variances.", "content": _HTML}, **problems("not_found")},
)
def get_run_html(principal: Reader, service: ServiceNow, run: RunId) -> Response:
    """Download a run as one self-contained HTML page: the bridge as a waterfall chart, and the variances."""
    report = show_reconciliation(service.engine, run, account_id=bound_account_id(principal))
    names = account_names(service.engine, [report.run.account_id])
    page = reconciliation_html(report, names[report.run.account_id], made_at=service.clock())
    headers = {"content-disposition": disposition(f"reconciliation-{run}.html")}
    return StreamingResponse(page, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/{run}", operation_id="show_reconciliation", summary="Show a reconciliation", responses=problems("not_found"))
def get_run(principal: Reader, service: ServiceNow, run: RunId) -> ReconciliationAnswer:
    """Show what a run found, with the latest decisions."""
    return _answer(service, show_reconciliation(service.engine, run, account_id=bound_account_id(principal)))


@router.get(
    "/{run}/variances/{variance}.csv",
    operation_id="download_evidence",
    summary="Download the evidence of a variance as CSV",
    response_class=StreamingResponse,
    responses={
        200: {"description": "One row per difference, then one per request that would explain it.", "content": _CSV},
        **problems("not_found"),
    },
)
def get_evidence(principal: Reader, service: ServiceNow, run: RunId, variance: VarianceId) -> Response:
    """Download every request and line that shows a variance, with what both sides state: the evidence for a dispute.

    For a variance of sums, the metered requests that would explain it follow.
    """
    _check_variance(principal, service, run, variance)
    evidence = export_all_evidence(service.engine, variance)
    headers = {"content-disposition": disposition(f"variance-{variance}.csv")}
    return StreamingResponse(evidence_csv(evidence), media_type=_CSV_TYPE, headers=headers)


@router.get(
    "/{run}/variances/{variance}", operation_id="show_variance", summary="Show a variance", responses=problems("not_found")
)
def get_variance(
    principal: Reader, service: ServiceNow, run: RunId, variance: VarianceId, evidence: EvidenceLimit = DEFAULT_EVIDENCE
) -> ExplainedVarianceAnswer:
    """Show a variance with some of its evidence, and all decisions on it."""
    _check_variance(principal, service, run, variance)
    return explained_variance_answer(explain_variance(service.engine, variance, limit=evidence))


@router.post(
    "/{run}/variances/{variance}/decisions",
    operation_id="resolve_variance",
    summary="Decide on a variance",
    status_code=201,
    responses=problems(
        "not_found", "already_exists", "reading_required", "unsupported_media_type", "body_too_large", "not_json"
    ),
    dependencies=[Depends(require_json)],
)
def post_decision(
    principal: Admin, service: ServiceNow, run: RunId, variance: VarianceId, body: NewVarianceDecision
) -> ExplainedVarianceAnswer:
    """Decide on a variance of the newest run, with a name and a reason. Accepting it can correct the account's statement. For a
    pasted total, that takes a reading (`reads`), which says what our total is brought to.
    """
    _check_variance(principal, service, run, variance)
    who, now = body.who or f"key {principal.key.name}", service.clock()
    check_decision(body.state, who, body.reason)
    if body.reads is not None:
        settings = service.settings.reconcile
        variance = choose_reading(
            service.engine, variance, TotalReading(body.reads), service.catalog, settings=settings, now=now
        )
    resolve_variance(service.engine, variance, body.state, who=who, reason=body.reason, correct=body.correct, now=now)
    return explained_variance_answer(explain_variance(service.engine, variance))


def _check_variance(principal: Principal, service: Service, run: int, variance: int) -> None:
    show_variance(service.engine, variance, run_id=run, account_id=bound_account_id(principal))


def _answer(service: Service, report: ReconciliationReport) -> ReconciliationAnswer:
    return reconciliation_answer(report, account_names(service.engine, [report.run.account_id]))
