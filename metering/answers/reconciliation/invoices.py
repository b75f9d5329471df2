"""Answers about invoices."""

from collections.abc import Mapping

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, usd
from metering.answers.reconciliation.readings import EXAMPLE_READINGS, TotalReadingAnswer, reading_answers
from metering.answers.reconciliation.runs import EXAMPLE_RUN, ReconciliationRunAnswer, reconciliation_run_answer
from metering.domain.instants import format_instant
from metering.domain.reconciliation.records import ImportedInvoice, Invoice, InvoiceOverview, Reconciliation

EXAMPLE_INVOICE = {
    "id": 7,
    "account": "acme",
    "biller": "huggingface",
    "provider": None,
    "number": "2026-11-0001",
    "format": "hf-usage",
    "file": "usage.json",
    "grain": "provider",
    "routes": ["routed", "serverless"],
    "period_start": "2026-11-01T00:00:00.000000Z",
    "period_end": "2026-12-01T00:00:00.000000Z",
    "issued_at": "2026-12-01T06:00:00.000000Z",
    "lines": 14,
    "lines_nano_usd": 26_740_000_000,
    "lines_usd": "26.740000000",
    "total_nano_usd": 26_740_000_000,
    "total_usd": "26.740000000",
    "supersedes": None,
    "superseded_by": None,
    "notes": [],
    "excluded_rows": [],
    "digest": "9f86d081884c7d65",
    "imported_at": "2026-12-01T06:00:00.000000Z",
    "reconciliation": None,
}


class ExcludedRowAnswer(Answer):
    """A row of the document that is no line, because it is the sum of others."""

    line: int = Field(description="The line of the document.", examples=[34])
    amount_nano_usd: int | None = nano_usd("Its amount; null if it states none", 26_740_000_000)
    amount_usd: str | None = usd("Its amount; null if it states none", "26.740000000")
    reason: str = Field(description="Why it is not a line.", examples=["labeled 'Total', and the sum of 32 lines"])


class InvoiceAnswer(Answer):
    """An imported invoice of Hugging Face or a provider."""

    id: int = Field(description="The invoice.", examples=[7])
    account: str = Field(description="The account that is billed.", examples=["acme"])
    biller: str = Field(description="Who bills: `huggingface`, or a provider.", examples=["huggingface"])
    provider: str | None = Field(description="The only provider it covers; null: all.", examples=[None])
    number: str | None = Field(description="The invoice number.", examples=["2026-11-0001"])
    format: str = Field(description="The format of the document.", examples=["hf-usage"])
    file: str | None = Field(description="The name of the file.", examples=["usage.json"])
    grain: str = Field(
        description="Level of detail of its lines: `request`, `session`, `day`, `model`, `provider` or `total`.",
        examples=["provider"],
    )
    routes: list[str] = Field(description="The billing routes it covers.", examples=[["routed", "serverless"]])
    period_start: str = instant_field("Start of its period", "2026-11-01T00:00:00.000000Z")
    period_end: str = instant_field("End of its period, exclusive", "2026-12-01T00:00:00.000000Z")
    issued_at: str = instant_field("When it was issued; the time of the import if the document does not state it")
    lines: int = Field(description="Number of lines.", examples=[14])
    lines_nano_usd: int | None = nano_usd("Sum of the lines; null if they state no amounts", 26_740_000_000)
    lines_usd: str | None = usd("Sum of the lines; null if they state no amounts", "26.740000000")
    total_nano_usd: int | None = nano_usd("The stated total; null if it states none", 26_740_000_000)
    total_usd: str | None = usd("The stated total; null if it states none", "26.740000000")
    supersedes: int | None = Field(description="The invoice that it supersedes.", examples=[None])
    superseded_by: int | None = Field(description="The invoice that supersedes it.", examples=[None])
    notes: list[str] = Field(description="Notes from the import.", examples=[[]])
    excluded_rows: list[ExcludedRowAnswer] = Field(
        description="Rows that were left out because they are sums of others, and how that is known.", examples=[[]]
    )
    digest: str = Field(description="SHA-256 of the document.", examples=["9f86d081884c7d65"])
    imported_at: str = instant_field("When it was imported")
    reconciliation: ReconciliationRunAnswer | None = Field(
        description="The newest reconciliation of the invoice; null if it has not been reconciled.", examples=[EXAMPLE_RUN]
    )


class ImportedInvoiceAnswer(Answer):
    """The result of an import."""

    is_new: bool = Field(
        description="Whether the import created the invoice; false if the same document was imported before.",
        examples=[True],
    )
    invoice: InvoiceAnswer = Field(description="The invoice.", examples=[EXAMPLE_INVOICE])
    readings: list[TotalReadingAnswer] = Field(
        description="A pasted total compared with our statement and with our usage as they are now; empty for other invoices.",
        examples=[EXAMPLE_READINGS],
    )


class InvoicePage(Page):
    """A page of invoices, newest first."""

    items: list[InvoiceAnswer] = Field(description="The invoices, including superseded ones.", examples=[[EXAMPLE_INVOICE]])


def invoice_answer(overview: InvoiceOverview, names: Mapping[int, str]) -> InvoiceAnswer:
    """Return an invoice with its newest run; ``names`` are account names by id."""
    return _invoice(overview.invoice, overview.newest_run, names)


def imported_invoice_answer(imported: ImportedInvoice, names: Mapping[int, str]) -> ImportedInvoiceAnswer:
    """Return the result of an import."""
    return ImportedInvoiceAnswer(
        is_new=imported.is_new,
        invoice=_invoice(imported.invoice, imported.newest_run, names),
        readings=reading_answers(imported.readings),
    )


def _invoice(invoice: Invoice, newest_run: Reconciliation | None, names: Mapping[int, str]) -> InvoiceAnswer:
    return InvoiceAnswer(
        id=invoice.id,
        account=names[invoice.account_id],
        biller=invoice.biller,
        provider=invoice.provider or None,
        number=invoice.number or None,
        format=invoice.format,
        file=invoice.file or None,
        grain=invoice.grain,
        routes=list(invoice.routes),
        period_start=format_instant(invoice.start),
        period_end=format_instant(invoice.end),
        issued_at=format_instant(invoice.issued_at),
        lines=invoice.lines,
        **amount("lines", invoice.lines_nano),
        **amount("total", invoice.total_nano),
        supersedes=invoice.supersedes_id,
        superseded_by=invoice.superseded_by,
        notes=list(invoice.notes),
        excluded_rows=[
            ExcludedRowAnswer.model_validate({"line": each.line, **amount("amount", each.amount_nano), "reason": each.reason})
            for each in invoice.excluded
        ],
        digest=invoice.digest,
        imported_at=format_instant(invoice.imported_at),
        reconciliation=None if newest_run is None else reconciliation_run_answer(newest_run, names),
    )
