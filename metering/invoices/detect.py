"""Detect the format of an invoice from the start of its document. An ambiguous format is an error, never a guess."""

from collections.abc import Callable
from typing import BinaryIO

from metering.domain.reconciliation.invoices import InvoiceError
from metering.invoices import (
    FORMATS,
    csv_table,
    fal_events,
    fireworks_csv,
    hf_billing_answers,
    hf_sessions,
    hf_usage,
    json_table,
    pasted_total,
)
from metering.invoices.csv_table import is_above_header
from metering.invoices.reading import InvoiceReading, ReadOptions

SAMPLE_BYTES = 4_096

READERS: dict[str, Callable[[BinaryIO, ReadOptions], InvoiceReading]] = {
    module.FORMAT: module.read
    for module in (
        hf_usage, hf_sessions, hf_billing_answers, fireworks_csv, fal_events, csv_table, json_table, pasted_total,
    )
}  # fmt: skip


def detect_format(sample: bytes, *, mapped: bool) -> str:
    """Return the format of a document from its first bytes; ``mapped``: the caller maps its columns. Raises InvoiceError."""
    text = sample.decode("utf-8-sig", "replace").lstrip()
    if not text:
        raise InvoiceError("the document is empty", "empty_file")
    if text.startswith(("{", "[", "data:", "event:", "id:", ":")):
        return _of_json(text, mapped=mapped)
    lines = [line for line in text.splitlines() if not is_above_header(line)] or [text]
    first = lines[0].casefold()
    if "base_model_name" in first and "prompt_tokens" in first:
        return fireworks_csv.FORMAT
    if any(delimiter in first for delimiter in ",;\t|") and len(lines) > 1:
        return csv_table.FORMAT
    if len(lines) == 1 and any(letter.isdecimal() for letter in first):
        return pasted_total.FORMAT
    raise InvoiceError(f"the format of the document is not recognized; name it: {', '.join(FORMATS)}", "unknown_invoice_format")


def _of_json(text: str, *, mapped: bool) -> str:
    if mapped:
        return json_table.FORMAT
    if '"costNanoUsd"' in text or '"requests":null' in text.replace(" ", ""):
        return hf_billing_answers.FORMAT
    if '"inferenceProviders"' in text or '"usedNanoUsd"' in text:
        return hf_usage.FORMAT
    if '"costCents"' in text and '"sessions"' in text:
        return hf_sessions.FORMAT
    if any(name in text for name in ('"cost_total"', '"cost_estimate_nano_usd"', '"cost_subtotal"')):
        return fal_events.FORMAT
    return json_table.FORMAT
