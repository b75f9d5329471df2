"""``/v1/invoices``: what Hugging Face or a provider says is owed, imported."""

import io
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request
from msgspec.structs import replace

from metering.api.fields import DEFAULT_PAGE, AccountParameter, CursorParameter, LimitParameter
from metering.api.openapi import problems
from metering.api.reconciliation.reconciliation_answers import ImportedInvoiceAnswer, InvoiceAnswer, InvoicePage
from metering.domain.errors import NotFoundError
from metering.domain.instants import month_start, next_month
from metering.domain.reconciliation.records import Invoice
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.exports.reconciliation_json import invoice_json
from metering.invoices import FORMATS
from metering.invoices.reading import ReadOptions
from metering.operations.accounts.manage_accounts import show_account_by_id
from metering.operations.reconciliation.import_invoice import InvoiceOrder, import_invoice
from metering.operations.reconciliation.show_invoices import list_invoices, show_invoice
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import check_media_type, read_body
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Principal, Reader, ServiceNow
from metering.web.problems import ApiProblem, FieldError
from metering.web.query import listed

router = APIRouter(prefix="/v1/invoices", tags=["reconciliation"])

PATH = "/v1/invoices"
MEDIA_TYPES = (
    "application/json", "application/x-ndjson", "application/ndjson", "text/csv", "text/plain", "text/event-stream",
)  # fmt: skip

InvoiceId = Annotated[int, Path(ge=1, le=2**53, description="The invoice.", examples=[7])]

_EXAMPLE = '{"requests": [{"requestId": "deadbeef0", "costNanoUsd": 100}]}'
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media: {"schema": {"type": "string", "description": "The document as it came."}, "example": _EXAMPLE}
            for media in MEDIA_TYPES
        },
    }
}
_PROBLEMS = (
    "account_required", "not_found", "unsupported_media_type", "body_too_large", "invalid_encoding", "malformed_request",
    "empty_file", "missing_column", "invalid_invoice", "invoice_too_large", "unknown_invoice_format", "wrong_currency",
    "wrong_account", "period_required", "overlapping_invoice", "import_in_progress", "already_exists",
    "invalid_time", "naive_time",
)  # fmt: skip


class InvoiceParameters(NamedTuple):
    """What a caller says of a bill."""

    options: ReadOptions
    format: str
    number: str
    total: str
    supersedes: int | None
    beside: bool


def _text(what: str, example: str, longest: int = MAX_NAME_LENGTH) -> Any:
    return Query(max_length=longest, description=what, examples=[example])


def period(
    service: ServiceNow,
    month: Annotated[str | None, _text("Its period, where the document does not state one.", "2026-11", 10)] = None,
    start: Annotated[str | None, _text("Or from when.", "2026-11-01", 40)] = None,
    end: Annotated[str | None, _text("Until when, exclusively.", "2026-12-01", 40)] = None,
) -> tuple[int | None, int | None]:
    """Return the period that the query states, None and None for none. Raises ApiProblem."""
    return _period(month, start, end, service.clock())


def spelling(
    map_: Annotated[
        list[str] | None,
        Query(alias="map", description="`field=column` of a CSV, or `field=path` of JSON.", examples=[["amount=Cost"]]),
    ] = None,
    time_zone: Annotated[str, _text("The zone of times that carry none.", "Europe/Berlin")] = "",
    decimal_mark: Annotated[str, _text("What stands before decimals, where it can not be told.", ",", 1)] = "",
) -> ReadOptions:
    """Return how the document spells what it says. Raises ApiProblem."""
    return ReadOptions(columns=_columns(map_), zone=time_zone, decimal_mark=decimal_mark)


def told(
    *,
    when: Annotated[tuple[int | None, int | None], Depends(period)],
    options: Annotated[ReadOptions, Depends(spelling)],
    format_: Annotated[
        str, Query(alias="format", max_length=20, description=f"{', '.join(FORMATS)}; left out: told.", examples=["csv"])
    ] = "",
    biller: Annotated[str, _text("Who bills, where the document does not say: `huggingface`, or a provider.", "together")] = "",
    provider: Annotated[str, _text("The provider whose usage alone it is about.", "together")] = "",
    number: Annotated[str, _text("Its own number.", "2026-11-0001")] = "",
    total: Annotated[str, _text("The total that it states elsewhere, in dollars.", "770.00", 40)] = "",
    supersedes: Annotated[int | None, Query(ge=1, le=2**53, description="The invoice that it corrects.", examples=[6])] = None,
    beside: Annotated[
        bool, Query(description="Whether it stands beside an invoice whose period it overlaps.", examples=[False])
    ] = False,
) -> InvoiceParameters:
    """Return what the query says of the bill."""
    options = replace(options, biller=biller, provider=provider, start=when[0], end=when[1])
    return InvoiceParameters(options, format_, number, total, supersedes, beside)


async def document(request: Request, service: ServiceNow) -> bytes:
    """Return the document of a request. Raises ApiProblem."""
    check_media_type(request, *MEDIA_TYPES)
    return await read_body(request, service.settings.max_body_bytes)


@router.post(
    "",
    operation_id="import_invoice",
    summary="Import a bill",
    status_code=201,
    openapi_extra=_BODY,
    responses=problems(*_PROBLEMS),
)
def post_invoice(
    principal: Admin,
    service: ServiceNow,
    said: Annotated[InvoiceParameters, Depends(told)],
    body: Annotated[bytes, Depends(document)],
    account: AccountParameter = None,
) -> ImportedInvoiceAnswer:
    """Import a bill as it came. The same document again changes nothing (`is_new` is false); another one about the same period
    supersedes the one before, and both stay. What is larger than a body may be is imported with `metering reconcile import`.
    """
    row = principal.find_account(service, account)
    if said.supersedes is not None:
        owned_invoice(principal, service, said.supersedes)
    order = InvoiceOrder(
        account=row.name,
        format=said.format,
        number=said.number,
        total=said.total,
        supersedes=said.supersedes,
        beside=said.beside,
        options=said.options,
    )
    done = import_invoice(service.engine, io.BytesIO(body), order, now=service.clock())
    return ImportedInvoiceAnswer(is_new=done.is_new, invoice=_answer(done.invoice, row.name))


@router.get("", operation_id="list_invoices", summary="List bills", responses=problems("not_found", "invalid_cursor"))
def get_invoices(
    principal: Reader,
    service: ServiceNow,
    account: AccountParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> InvoicePage:
    """List imported bills, newest first; superseded ones are among them."""
    row = principal.account_or_all(service, account)
    account_id = None if row is None else row.id
    question = ["invoices", account_id]
    before = None if cursor is None else int(read_cursor(cursor, question, [int])[0])
    found = list_invoices(service.engine, account_id=account_id, before=before, limit=limit + 1)
    return InvoicePage(
        items=[_answer(each, name_of(service, each.account_id)) for each in found[:limit]],
        next_cursor=write_cursor([found[limit - 1].id], question) if len(found) > limit else None,
    )


@router.get("/{invoice}", operation_id="show_invoice", summary="Show a bill", responses=problems("not_found"))
def get_invoice(principal: Reader, service: ServiceNow, invoice: InvoiceId) -> InvoiceAnswer:
    """Show an imported bill."""
    found = owned_invoice(principal, service, invoice)
    return _answer(found, name_of(service, found.account_id))


def owned_invoice(principal: Principal, service: Service, invoice_id: int) -> Invoice:
    """Return an invoice that the key may see. Raises NotFoundError, also for another account's."""
    found = show_invoice(service.engine, invoice_id)
    if principal.account is not None and found.account_id != principal.account.id:
        raise NotFoundError(f"there is no invoice {invoice_id}")
    return found


def name_of(service: Service, account_id: int) -> str:
    """Return the current name of an account."""
    row = show_account_by_id(service.engine, account_id)
    return "" if row is None else row.name


def _period(month: str | None, start: str | None, end: str | None, now: int) -> tuple[int | None, int | None]:
    if month is not None and (start is not None or end is not None):
        raise _invalid("query.month", "name the month, or start and end")
    if (start is None) != (end is None):
        raise _invalid("query.end", "start goes with end")
    if month is not None:
        found = query.month("query.month", month, now)
        return month_start(found), month_start(next_month(found))
    if start is None or end is None:
        return None, None
    return query.instant("query.start", start), query.instant("query.end", end)


def _columns(pairs: list[str] | None) -> dict[str, str]:
    columns = {}
    for pair in listed(pairs):
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not (equals and field and column):
            raise _invalid("query.map", "a map is written as field=column")
        columns[field] = column
    return columns


def _invalid(name: str, message: str) -> ApiProblem:
    return ApiProblem("invalid_request", f"{name}: {message}", errors=[FieldError(name, "invalid_request", message)])


def _answer(invoice: Invoice, account: str) -> InvoiceAnswer:
    return InvoiceAnswer.model_validate(invoice_json(invoice, account))
