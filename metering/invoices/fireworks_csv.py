"""Fireworks' usage export: tokens by model and time, without dollars.

``email,start_time,end_time,usage_type,accelerator_type,accelerator_seconds,base_model_name,model_bucket,parameter_count,
prompt_tokens,completion_tokens``. Quantities are compared at our prices; prompt tokens include cached ones.
"""

from collections.abc import Iterator
from typing import BinaryIO

from metering.domain.reconciliation.invoices import PROMPT_TOKENS, InvoiceError, InvoiceLine
from metering.invoices.csv_table import CsvTable
from metering.invoices.line_fields import LineReader
from metering.invoices.reading import InvoiceHead, InvoiceReading, ReadOptions, count_of, text_of

FORMAT = "fireworks-csv"
PROVIDER = "fireworks-ai"
_REQUIRED = ("start_time", "base_model_name", "prompt_tokens", "completion_tokens")


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the rows: lines by day and model, without amounts. Raises InvoiceError."""
    head = InvoiceHead(format=FORMAT, biller=PROVIDER, provider=PROVIDER, start=options.start, end=options.end, unit_nano=1)
    head.notes.append("the export states tokens but no dollars; quantities are compared at our prices")
    return InvoiceReading(head, _lines(source, options, head))


def _lines(source: BinaryIO, options: ReadOptions, head: InvoiceHead) -> Iterator[InvoiceLine]:
    table = CsvTable(source)
    names = {name.strip().casefold(): at for at, name in enumerate(table.header)}
    for name in _REQUIRED:
        if name not in names:
            raise InvoiceError(f"the column {name!r} of a Fireworks export is missing", "missing_column")
    reader = LineReader(options)
    for number, cells in table.rows():
        stated = {
            PROMPT_TOKENS: count_of(cells[names["prompt_tokens"]], "prompt_tokens", number),
            "output_tokens": count_of(cells[names["completion_tokens"]], "completion_tokens", number),
        }
        model = text_of(cells[names["base_model_name"]], "base_model_name", number)
        day = reader.day(cells[names["start_time"]].strip(), f"line {number}: start_time")
        if "end_time" in names and day is not None:
            end = reader.day(cells[names["end_time"]].strip(), f"line {number}: end_time")
            # A row about more than one day has no day.
            day = day if end is None or end - day <= 1 else None
        quantities = {kind: count for kind, count in stated.items() if count is not None}
        yield InvoiceLine(position=number, day=day, provider=PROVIDER, model=model, quantities=quantities)
    table.note_repeated(head)
