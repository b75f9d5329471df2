"""``/v1/statements``: an account's month, as JSON or as CSV."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from metering.api.accounts import AccountName
from metering.api.fields import DEFAULT_PAGE, AccountParameter, CursorParameter, LimitParameter
from metering.api.openapi import problems
from metering.api.statement_answers import StatementAnswer, StatementPage, StatementSummary, statement_answer, summary_answer
from metering.domain.errors import NotFoundError
from metering.domain.instants import format_month
from metering.domain.statements import Statement
from metering.exports.statement_csv import statement_csv
from metering.operations.manage_accounts import list_accounts, show_account
from metering.operations.open_service import Service
from metering.operations.show_statement import list_statements, show_statement
from metering.web import query
from metering.web.cursors import read_cursor, write_cursor
from metering.web.negotiation import negotiate
from metering.web.principal import Principal, Reader, ServiceNow

router = APIRouter(prefix="/v1/statements", tags=["statements"])

JSON = "application/json"
CSV = "text/csv"

_ACCOUNTS_AT_ONCE = 50

BillingMonth = Annotated[str, Path(max_length=20, description="The billing month (UTC).", examples=["2026-11"])]

StatusParameter = Annotated[
    Literal["draft", "closed"] | None, Query(description="Only those that are open, or closed.", examples=["closed"])
]

_CSV_EXAMPLE = (
    "account,billing_month,status,section,line,description,...\r\n"
    "acme,2026-11,draft,payable,total,Total payable,...\r\n"
)  # fmt: skip
_CSV_CONTENT = {CSV: {"schema": {"type": "string", "description": "RFC 4180, one row a line."}, "example": _CSV_EXAMPLE}}
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
    "/{account}/{month}.csv",
    operation_id="download_statement",
    summary="Download a statement as CSV",
    response_class=Response,
    responses={200: {"description": _SHOWN, "content": _CSV_CONTENT}, **problems("not_found", "invalid_time")},
)
def get_statement_csv(principal: Reader, service: ServiceNow, account: AccountName, month: BillingMonth) -> Response:
    """Download an account's month as CSV: one row a line, amounts with all decimals."""
    return _as_csv(_statement(principal, service, account, month))


@router.get(
    "/{account}/{month}",
    operation_id="show_statement",
    summary="Show a statement",
    response_model=StatementAnswer,
    responses={
        200: {"description": _SHOWN, "content": _CSV_CONTENT},
        **problems("not_found", "not_acceptable", "invalid_time"),
    },
)
def get_statement(
    principal: Reader, service: ServiceNow, request: Request, account: AccountName, month: BillingMonth
) -> Response:
    """Show an account's month, as JSON or as CSV, whichever the `Accept` header prefers."""
    wanted = negotiate(request.headers.get("accept"), (JSON, CSV))
    statement = _statement(principal, service, account, month)
    if wanted == CSV:
        return _as_csv(statement)
    return JSONResponse(statement_answer(statement).model_dump(mode="json"), headers={"vary": "accept"})


def _statement(principal: Principal, service: Service, account: str, month: str) -> Statement:
    name = principal.find_account(service, account).name
    return show_statement(service.engine, name, query.month("path.month", month, service.clock()), service.catalogue)


def _as_csv(statement: Statement) -> Response:
    name = f"statement-{statement.account}-{format_month(statement.month)}.csv"
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-._") else "_" for letter in name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(
        statement_csv(statement).encode(),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": disposition, "vary": "accept"},
    )


def _position(key: list[int | str]) -> tuple[str, str]:
    return str(key[0]), str(key[1])


def _names_from(service: Service, first: str) -> Iterator[str]:
    """Yield the names of accounts from ``first`` on: the page before may have ended in the middle of its months."""
    if first:
        with suppress(NotFoundError):  # renamed since the page before
            yield show_account(service.engine, first).name
    after = first
    while rows := list_accounts(service.engine, after=after, limit=_ACCOUNTS_AT_ONCE):
        yield from (row.name for row in rows)
        after = rows[-1].name
