"""A total copied from a page: ``$770.00``, ``Total: 1.234,56 USD``."""

import re
from typing import BinaryIO

from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.amounts import AmountReader
from metering.invoices.reading import InvoiceHead, InvoiceReading, ReadOptions

FORMAT = "total"
MAX_BYTES = 1_000
_LABEL = re.compile(r"^[A-Za-z ]*(?:total|due|amount|usage|owed)[A-Za-z ]*:?", re.IGNORECASE)


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read one amount. Raises InvoiceError."""
    raw = source.read(MAX_BYTES + 1)
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        raise InvoiceError("a pasted total must be text") from None
    if len(raw) > MAX_BYTES or len(text.splitlines()) != 1:
        raise InvoiceError("a pasted total must be one line with one amount")
    amounts = AmountReader(options.decimal_mark)
    total = amounts.dollars(_LABEL.sub("", text), "the total")
    head = InvoiceHead(
        format=FORMAT,
        biller=options.biller,
        provider=options.provider,
        start=options.start,
        end=options.end,
        unit_nano=amounts.unit_nano,
        total_nano=total,
    )
    if amounts.assumed:
        head.notes.append(f"{amounts.assumed} is read with a decimal point; if it separates thousands, name the decimal mark")
    return InvoiceReading(head, iter([InvoiceLine(position=1, amount_nano=total, provider=options.provider)]))
