"""``/v1/statements``: an account's month, to show and to download."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from metering.answers.statements.statements import StatementAnswer, StatementPage, statement_summary_answer
from metering.api.accounts.accounts import AccountName
from metering.api.fields import AccountParameter
from metering.api.openapi import problems, reference
from metering.api.statements.statement_files import (
    BYTES,
    FILE_CONTENT,
    INLINE_FORMATS,
    NOT_MODIFIED,
    STATEMENT,
    STATEMENT_FORMATS,
    ArchiveMonth,
    FocusVersionParameter,
    Formats,
    IfNoneMatch,
    Profile,
    Suffix,
    file_response,
    not_modified,
)
from metering.domain.instants import format_month, month_of
from metering.exports.formats import ExportFormat, export_format, several_formats
from metering.operations.service.open_service import Service
from metering.operations.statements.export_archive import ArchiveScope, export_archive
from metering.operations.statements.export_statement import UnchangedFile, export_statement
from metering.operations.statements.show_statement import StatementFilter, list_statements
from metering.web import query
from metering.web.etags import parse_if_none_match
from metering.web.negotiation import negotiate
from metering.web.pages import PageNow
from metering.web.principal import Principal, Reader, ServiceNow
from metering.web.problems import ApiProblem

router = APIRouter(prefix="/v1/statements", tags=["statements"])

BillingMonth = Annotated[str, Path(max_length=20, description="The billing month (UTC).", examples=["2026-11"])]

StatusParameter = Annotated[
    Literal["draft", "closed"] | None, Query(description="Only statements with this status.", examples=["closed"])
]

_DOWNLOADED = {**FILE_CONTENT, "application/json": {"schema": reference(StatementAnswer)}}


@router.get(
    "",
    operation_id="list_statements",
    summary="List statements",
    responses=problems("not_found", "invalid_cursor"),
)
def get_statements(
    principal: Reader,
    service: ServiceNow,
    page: PageNow,
    account: AccountParameter = None,
    status: StatusParameter = None,
) -> StatementPage:
    """List the statements of every month with usage, an adjustment or a fee and every closed month, by account and month,
    without their lines.
    """
    row = principal.account_or_all(service, account)
    wanted = StatementFilter(None if row is None else row.name, status)
    question = ["statements", wanted.account, status]
    last_name, last_month = page.start(question, ["", ""])
    after, now = (str(last_name), str(last_month)), service.clock()
    found = list_statements(service.engine, wanted, service.catalog, now=now, after=after, limit=page.rows)
    return page.of(
        StatementPage,
        found,
        answer=lambda each: statement_summary_answer(each.statement),
        key=lambda each: [each.account, format_month(each.statement.month)],
        question=question,
    )


@router.get(
    "/archive",
    operation_id="download_statements",
    summary="Download many statements",
    response_class=Response,
    responses={
        200: {"description": "The archive.", "content": {"application/zip": {"schema": BYTES}}},
        **NOT_MODIFIED,
        **problems("not_found", "account_required", "invalid_time", "unknown_export", "export_does_not_add_up"),
    },
)
def download_statements(
    *,
    principal: Reader,
    service: ServiceNow,
    account: AccountParameter = None,
    month: ArchiveMonth = None,
    formats: Formats = None,
    focus_version: FocusVersionParameter = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Download all months of an account, or all accounts of a month, as a ZIP archive with an `index.csv`."""
    row = principal.account_or_all(service, account)
    if row is None and month is None:
        raise ApiProblem("account_required", "name an account to get all its months, or a month to get all accounts")
    billing_month = None if month is None else query.month("query.month", month, service.clock())
    wanted = several_formats(query.listed(formats) or ("csv",), focus_version)
    scope = ArchiveScope(None if row is None else row.name, billing_month, wanted, month_of(service.clock()))
    found = export_archive(service.engine, scope, service.catalog, known=parse_if_none_match(if_none_match))
    return not_modified(found.tag) if isinstance(found, UnchangedFile) else file_response(found, inline=False)


@router.get(
    "/{account}/{month}.{suffix}",
    operation_id="download_statement",
    summary="Download a statement",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": _DOWNLOADED},
        **NOT_MODIFIED,
        **problems("not_found", "not_acceptable", "invalid_time", "export_does_not_add_up"),
    },
)
def download_statement(
    *,
    principal: Reader,
    service: ServiceNow,
    account: AccountName,
    month: BillingMonth,
    suffix: Suffix,
    profile: Profile = STATEMENT,
    focus_version: FocusVersionParameter = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Download an account's month. The file has a strong `ETag`: with `If-None-Match` it is sent only if it has changed."""
    wanted = export_format(suffix if profile == STATEMENT else profile, focus_version)
    if wanted.suffix != suffix:
        raise ApiProblem("not_acceptable", f"the profile {profile} is only available as .{wanted.suffix}")
    return _file(principal, service, account, month, wanted, if_none_match)


@router.get(
    "/{account}/{month}",
    operation_id="show_statement",
    summary="Show a statement",
    response_model=StatementAnswer,
    responses={
        200: {"description": "The statement.", "content": FILE_CONTENT},
        **NOT_MODIFIED,
        **problems("not_found", "not_acceptable", "invalid_time", "export_does_not_add_up"),
    },
)
def get_statement(
    *,
    principal: Reader,
    service: ServiceNow,
    request: Request,
    account: AccountName,
    month: BillingMonth,
    profile: Profile = STATEMENT,
    focus_version: FocusVersionParameter = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show an account's month in the format that the `Accept` header prefers. Default: JSON."""
    formats = STATEMENT_FORMATS if profile == STATEMENT else (export_format(profile, focus_version),)
    offers = {each.media_type.partition(";")[0]: each for each in formats}
    wanted = offers[negotiate(request.headers.get("accept"), tuple(offers))]
    response = _file(principal, service, account, month, wanted, if_none_match)
    response.headers["vary"] = "accept"
    return response


def _file(
    principal: Principal, service: Service, account: str, month: str, wanted: ExportFormat, if_none_match: str | None
) -> Response:
    """Return the file, or 304 if the client has it."""
    name = principal.find_account(service, account).name
    now = service.clock()
    billing_month = query.month("path.month", month, now)
    known = parse_if_none_match(if_none_match)
    found = export_statement(service.engine, name, billing_month, service.catalog, wanted, known=known, now=now)
    if isinstance(found, UnchangedFile):
        return not_modified(found.tag)
    return file_response(found, inline=wanted.name in INLINE_FORMATS)
