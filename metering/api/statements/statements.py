"""``/v1/statements``: an account's month, to be shown, downloaded, and read by other programs."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from metering.api.accounts.accounts import AccountName
from metering.api.fields import DEFAULT_PAGE, AccountParameter, CursorParameter, LimitParameter
from metering.api.openapi import problems, reference
from metering.api.statements.statement_answers import StatementAnswer, StatementPage, StatementSummary, summary_answer
from metering.api.statements.statement_files import (
    BYTES,
    FILE_CONTENT,
    NOT_MODIFIED,
    SHOWN_FORMATS,
    STATEMENT,
    STATEMENT_FORMATS,
    ArchiveMonth,
    FocusVersionParameter,
    Formats,
    IfNoneMatch,
    Profile,
    Suffix,
    file_answer,
    not_modified,
)
from metering.domain.errors import NotFoundError
from metering.domain.instants import format_month
from metering.exports.formats import ExportFormat, export_format, several_formats
from metering.operations.accounts.manage_accounts import list_accounts, show_account
from metering.operations.service.open_service import Service
from metering.operations.statements.export_archive import ArchiveScope, export_archive
from metering.operations.statements.export_statement import UnchangedFile, export_statement
from metering.operations.statements.show_statement import list_statements
from metering.web import query
from metering.web.cursors import read_cursor, write_cursor
from metering.web.etags import parse_if_none_match
from metering.web.negotiation import negotiate
from metering.web.principal import Principal, Reader, ServiceNow
from metering.web.problems import ApiProblem

router = APIRouter(prefix="/v1/statements", tags=["statements"])

_ACCOUNTS_AT_ONCE = 50

BillingMonth = Annotated[str, Path(max_length=20, description="The billing month (UTC).", examples=["2026-11"])]

StatusParameter = Annotated[
    Literal["draft", "closed"] | None, Query(description="Only those that are open, or closed.", examples=["closed"])
]

_DOWNLOADED = {**FILE_CONTENT, "application/json": {"schema": reference(StatementAnswer)}}
_SHOWN = "The statement."


@router.get(
    "",
    operation_id="list_statements",
    summary="List statements",
    responses=problems("not_found", "invalid_cursor"),
)
def get_statements(
    principal: Reader,
    service: ServiceNow,
    account: AccountParameter = None,
    status: StatusParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> StatementPage:
    """List the statements of every month with usage and of every closed one, by account and month, without their lines."""
    row = principal.account_or_all(service, account)
    question = ["statements", None if row is None else row.name, status]
    after = ("", "") if cursor is None else _position(read_cursor(cursor, question, [str, str]))
    # By the name that the account has now: a closed statement keeps the one of its time.
    found: list[tuple[str, StatementSummary]] = []
    for name in [row.name] if row is not None else _names_from(service, after[0]):
        statements = list_statements(service.engine, name, service.catalogue)
        asked = [each for each in statements if status in (None, each.status)]
        found += [(name, summary_answer(each)) for each in asked if (name, format_month(each.month)) > after]
        if len(found) > limit:
            break
    last = found[limit - 1] if len(found) > limit else None
    return StatementPage(
        items=[summary for _, summary in found[:limit]],
        next_cursor=None if last is None else write_cursor([last[0], last[1].month], question),
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
    """Download all months of an account, or all accounts of a month, as a ZIP archive. Its `index.csv` lists what is in it."""
    row = principal.account_or_all(service, account)
    if row is None and month is None:
        raise ApiProblem("account_required", "name an account for all its months, or a month for all accounts")
    asked = None if month is None else query.month("query.month", month, service.clock())
    wanted = several_formats(query.listed(formats) or ("csv",), focus_version)
    scope = ArchiveScope(None if row is None else row.name, asked, wanted)
    found = export_archive(service.engine, scope, service.catalogue, known=parse_if_none_match(if_none_match))
    return not_modified(found.tag) if isinstance(found, UnchangedFile) else file_answer(found, shown=False)


@router.get(
    "/{account}/{month}.{suffix}",
    operation_id="download_statement",
    summary="Download a statement",
    response_class=Response,
    responses={
        200: {
            "description": "The file.",
            "content": _DOWNLOADED,
        },
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
    """Download an account's month. The file has a strong `ETag`: with `If-None-Match` it is sent only if it is another."""
    wanted = export_format(suffix if profile == STATEMENT else profile, focus_version)
    if wanted.suffix != suffix:
        raise ApiProblem("not_acceptable", f"the profile {profile} is answered as .{wanted.suffix}")
    return _answer(principal, service, account, month, wanted, if_none_match)


@router.get(
    "/{account}/{month}",
    operation_id="show_statement",
    summary="Show a statement",
    response_model=StatementAnswer,
    responses={
        200: {"description": _SHOWN, "content": FILE_CONTENT},
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
    """Show an account's month in the form that the `Accept` header prefers: JSON, if it says nothing."""
    formats = STATEMENT_FORMATS if profile == STATEMENT else (export_format(profile, focus_version),)
    offers = {each.media_type.partition(";")[0]: each for each in formats}
    wanted = offers[negotiate(request.headers.get("accept"), tuple(offers))]
    answer = _answer(principal, service, account, month, wanted, if_none_match)
    answer.headers["vary"] = "accept"
    return answer


def _answer(
    principal: Principal, service: Service, account: str, month: str, wanted: ExportFormat, if_none_match: str | None
) -> Response:
    """Return the file, or that it is the one which the client has."""
    name = principal.find_account(service, account).name
    asked = query.month("path.month", month, service.clock())
    known = parse_if_none_match(if_none_match)
    found = export_statement(service.engine, name, asked, service.catalogue, wanted, known=known)
    if isinstance(found, UnchangedFile):
        return not_modified(found.tag)
    return file_answer(found, shown=wanted.name in SHOWN_FORMATS)


def _position(key: list[int | str]) -> tuple[str, str]:
    return str(key[0]), str(key[1])


def _names_from(service: Service, first: str) -> Iterator[str]:
    """Yield the names of accounts from ``first`` on: the page before may have ended in the middle of its months."""
    if first:
        with suppress(NotFoundError):  # renamed since the page before
            yield show_account(service.engine, first).name
    after = first
    while rows := list_accounts(service.engine, after=after, limit=_ACCOUNTS_AT_ONCE):
        yield from (row.account.name for row in rows)
        after = rows[-1].account.name
