"""``/v1/invoices``: imported invoices of Hugging Face and providers."""

import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from msgspec.structs import replace

from metering.answers.reconciliation.invoices import (
    ImportedInvoiceAnswer,
    InvoiceAnswer,
    InvoicePage,
    imported_invoice_answer,
    invoice_answer,
)
from metering.api.fields import AccountParameter
from metering.api.openapi import problems
from metering.domain.reconciliation.invoices import stated_period
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.invoices import FORMATS
from metering.invoices.line_fields import read_column_map
from metering.invoices.reading import ReadOptions
from metering.operations.accounts.manage_accounts import account_names
from metering.operations.reconciliation.import_invoice import InvoiceOrder, import_invoice
from metering.operations.reconciliation.read_total import read_total
from metering.operations.reconciliation.show_invoices import list_invoices, show_invoice
from metering.web import query
from metering.web.bodies import check_media_type, read_body
from metering.web.pages import PageNow
from metering.web.principal import Admin, Principal, Reader, ServiceNow
from metering.web.query import listed

router = APIRouter(prefix="/v1/invoices", tags=["reconciliation"])

PATH = "/v1/invoices"
MEDIA_TYPES = (
    "application/json", "application/x-ndjson", "application/ndjson", "text/csv", "text/plain", "text/event-stream",
)  # fmt: skip

InvoiceId = Annotated[int, Path(ge=1, le=2**53, description="The invoice.", examples=[7])]

_NEWEST = 2**63 - 1
_EXAMPLE = '{"requests": [{"requestId": "deadbeef0", "costNanoUsd": 100}]}'
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media: {"schema": {"type": "string", "description": "The unchanged document."}, "example": _EXAMPLE}
            for media in MEDIA_TYPES
        },
    }
}
_PROBLEMS = (
    "account_required", "not_found", "unsupported_media_type", "body_too_large", "invalid_encoding", "malformed_request",
    "empty_file", "missing_column", "duplicate_column", "invalid_invoice",
    "invoice_too_large", "unknown_invoice_format", "wrong_currency",
    "wrong_account", "period_required", "overlapping_invoice", "import_in_progress", "already_exists",
    "ambiguous_total_rows", "invalid_time", "naive_time",
)  # fmt: skip


def _text(description: str, example: str, longest: int = MAX_NAME_LENGTH) -> Any:
    return Query(max_length=longest, description=description, examples=[example])


def period(
    service: ServiceNow,
    month: Annotated[
        str | None, _text("Month of the invoice, for a document that does not state its period.", "2026-11", 10)
    ] = None,
    start: Annotated[str | None, _text("Start of the period, instead of a month.", "2026-11-01", 40)] = None,
    end: Annotated[str | None, _text("End of the period, exclusive.", "2026-12-01", 40)] = None,
) -> tuple[int | None, int | None]:
    """Return the period that the query states; (None, None) if it states none. Raises ApiProblem, DomainError."""
    return stated_period(
        None if month is None else query.month("query.month", month, service.clock()),
        None if start is None else query.instant("query.start", start),
        None if end is None else query.instant("query.end", end),
    )


def read_options(
    *,
    when: Annotated[tuple[int | None, int | None], Depends(period)],
    map_: Annotated[
        list[str] | None,
        Query(
            alias="map",
            description="`field=column` of a CSV, or `field=path` of JSON; repeat, or separate by commas.",
            examples=[["amount=Cost"]],
        ),
    ] = None,
    time_zone: Annotated[str, _text("Time zone of times that have none.", "Europe/Berlin")] = "",
    decimal_mark: Annotated[str, _text("Character before decimals, if the amounts leave it open.", ",", 1)] = "",
    total_rows: Annotated[
        Literal["exclude", "keep"] | None,
        Query(
            description="What to do with rows that are the sum of others: `exclude` also those that only may be, or `keep` and "
            "bill all. Default: rows that certainly are sums are left out, and a document with a doubtful row is refused "
            "(`ambiguous_total_rows`).",
            examples=["exclude"],
        ),
    ] = None,
    biller: Annotated[
        str, _text("Who bills, if the document does not state it: `huggingface`, or a provider.", "together")
    ] = "",
    provider: Annotated[str, _text("The only provider that the invoice covers. Default: all.", "together")] = "",
) -> ReadOptions:
    """Return how to read the document. Raises DomainError."""
    start, end = when
    return ReadOptions(
        biller=biller,
        provider=provider,
        start=start,
        end=end,
        columns=read_column_map(listed(map_)),
        zone=time_zone,
        decimal_mark=decimal_mark,
        total_rows=total_rows or "",
    )


def invoice_order(
    *,
    options: Annotated[ReadOptions, Depends(read_options)],
    format_: Annotated[
        str,
        Query(alias="format", max_length=20, description=f"{', '.join(FORMATS)}. Default: detected.", examples=["csv"]),
    ] = "",
    file: Annotated[str, _text("Name of the file.", "usage.json")] = "",
    number: Annotated[str, _text("The invoice number.", "2026-11-0001")] = "",
    total: Annotated[str, _text("Total in dollars, if the document does not state it.", "770.00", 40)] = "",
    route: Annotated[
        list[str] | None,
        Query(
            description="Billing routes that the invoice covers; repeat, or separate by commas. Default: those of its biller.",
            examples=[["routed"]],
        ),
    ] = None,
    supersedes: Annotated[
        int | None, Query(ge=1, le=2**53, description="The invoice that it supersedes.", examples=[6])
    ] = None,
    allow_overlap: Annotated[
        bool,
        Query(
            description="Whether to import it although its period overlaps another invoice about the same usage.",
            examples=[False],
        ),
    ] = False,
    beside: Annotated[bool, Query(deprecated=True, description="Former name of `allow_overlap`.", examples=[False])] = False,
) -> InvoiceOrder:
    """Return what the query states about the invoice, without its account."""
    return InvoiceOrder(
        account="",
        format=format_,
        file=file,
        number=number,
        total=total,
        routes=tuple(listed(route)),
        supersedes=supersedes,
        allow_overlap=allow_overlap or beside,
        options=options,
    )


async def document(request: Request, service: ServiceNow) -> bytes:
    """Return the document of a request. Raises ApiProblem."""
    check_media_type(request, *MEDIA_TYPES)
    return await read_body(request, service.settings.max_body_bytes)


@router.post(
    "",
    operation_id="import_invoice",
    summary="Import an invoice",
    status_code=201,
    openapi_extra=_BODY,
    responses=problems(*_PROBLEMS),
)
def post_invoice(
    principal: Admin,
    service: ServiceNow,
    order: Annotated[InvoiceOrder, Depends(invoice_order)],
    body: Annotated[bytes, Depends(document)],
    account: AccountParameter = None,
) -> ImportedInvoiceAnswer:
    """Import an invoice from its unchanged document. The same document again changes nothing (`is_new` is false); a different
    one about the same usage and period supersedes the invoice before, and both are kept. Import documents that are larger than
    a request body with `metering reconcile import`.
    """
    row = principal.find_account(service, account)
    now = service.clock()
    imported = import_invoice(service.engine, io.BytesIO(body), replace(order, account=row.name), now=now)
    readings = read_total(service.engine, imported.invoice, service.catalog, now=now)
    return imported_invoice_answer(replace(imported, readings=readings), {row.id: row.name})


@router.get("", operation_id="list_invoices", summary="List invoices", responses=problems("not_found", "invalid_cursor"))
def get_invoices(principal: Reader, service: ServiceNow, page: PageNow, account: AccountParameter = None) -> InvoicePage:
    """List imported invoices, newest first, including superseded ones, each with its newest reconciliation."""
    row = principal.account_or_all(service, account)
    account_id = None if row is None else row.id
    question = ["invoices", account_id]
    before = int(page.start(question, [_NEWEST])[0])
    found = list_invoices(service.engine, account_id=account_id, before=before, limit=page.rows)
    names = account_names(service.engine, [each.invoice.account_id for each in found])
    return page.of(
        InvoicePage,
        found,
        answer=lambda each: invoice_answer(each, names),
        key=lambda each: [each.invoice.id],
        question=question,
    )


@router.get("/{invoice}", operation_id="show_invoice", summary="Show an invoice", responses=problems("not_found"))
def get_invoice(principal: Reader, service: ServiceNow, invoice: InvoiceId) -> InvoiceAnswer:
    """Show an imported invoice with its newest reconciliation."""
    found = show_invoice(service.engine, invoice, account_id=bound_account_id(principal))
    return invoice_answer(found, account_names(service.engine, [found.invoice.account_id]))


def bound_account_id(principal: Principal) -> int | None:
    """Return the id of the account that the key is bound to; None for a key that sees all accounts."""
    return None if principal.account is None else principal.account.id
