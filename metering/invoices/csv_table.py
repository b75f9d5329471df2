"""Any invoice as CSV, with a map from fields of a line to columns; without a map, columns named like the fields are used.

Read as a stream: a file of any size needs the memory of one row.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import BinaryIO

from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.line_fields import FIELDS, LineReader, check_map
from metering.invoices.reading import InvoiceHead, InvoiceReading, ReadOptions

FORMAT = "csv"
MAX_ROW = 64 * 1024
_DELIMITERS = (";", "\t", "|", ",")


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the rows below a header. Raises InvoiceError."""
    head = InvoiceHead(format=FORMAT, biller=options.biller, provider=options.provider, start=options.start, end=options.end)
    return InvoiceReading(head, _lines(source, options, head))


def table_rows(source: BinaryIO) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield (line number, cells) of a CSV, the header first. Raises InvoiceError for content that is not text."""
    text = TextIOWrapper(source, encoding="utf-8-sig", newline="")
    try:
        first = text.readline(MAX_ROW)
        if not first.strip():
            raise InvoiceError("the document is empty", "empty_file")
        delimiter = max(_DELIMITERS, key=first.count)
        yield 1, next(csv.reader([first], delimiter=delimiter))
        rows = csv.reader(_bounded(text), delimiter=delimiter)
        for row in rows:
            if any(cell.strip() for cell in row):
                yield rows.line_num + 1, row
    except UnicodeDecodeError:
        raise InvoiceError("the document is not UTF-8 text; export it as CSV in UTF-8") from None
    except csv.Error as error:
        raise InvoiceError(f"the document is not CSV: {error}") from None
    finally:
        with suppress(ValueError):  # the caller owns the file and may have closed it already
            text.detach()


def column_positions(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return the position of each field's column. Raises InvoiceError for a mapped column that does not exist."""
    check_map(columns)
    names = [name.strip() for name in header]
    lower = {name.casefold(): at for at, name in reversed(list(enumerate(names)))}
    if not columns:
        return {field: lower[field] for field in FIELDS if field in lower}
    for field, column in columns.items():
        if column.casefold() not in lower:
            raise InvoiceError(
                f"there is no column {column[:40]!r} for {field}; the columns are {', '.join(names)[:400]}", "missing_column"
            )
    return {field: lower[column.casefold()] for field, column in columns.items()}


def _lines(source: BinaryIO, options: ReadOptions, head: InvoiceHead) -> Iterator[InvoiceLine]:
    rows = table_rows(source)
    header = next(rows)[1]
    positions = column_positions(header, options.columns)
    if not positions.keys() - {"currency", "account", "kind"}:
        raise InvoiceError(
            f"no column has the name of a field (columns: {', '.join(header)[:400]}); map them as FIELD=COLUMN, such as"
            f" amount=COLUMN; the fields are {', '.join(FIELDS)}",
            "missing_column",
        )
    reader = LineReader(options)
    width, lines = len(header), 0
    for number, cells in rows:
        if len(cells) != width:
            raise InvoiceError(f"line {number}: it has {len(cells)} cells, the header has {width}")
        line = reader.line(number, {field: cells[at].strip() for field, at in positions.items()})
        if line is not None:
            lines += 1
            yield line
    reader.finish(head, lines)


def _bounded(text: TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_ROW):
        if len(line) == MAX_ROW and not line.endswith("\n"):
            raise InvoiceError(f"a row is longer than {MAX_ROW} characters")
        yield line
