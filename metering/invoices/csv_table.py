"""Any invoice as CSV, with a map from fields of a line to columns; without a map, columns named like the fields are used.

Read as a stream: a file of any size needs the memory of one row. Blank lines above the header, a line such as ``sep=;`` that
spreadsheets write, and headers that a page break repeats are not rows.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from itertools import chain
from typing import BinaryIO

from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.line_fields import AMOUNT_FIELDS, FIELDS, LineReader, check_map
from metering.invoices.reading import InvoiceHead, InvoiceReading, ReadOptions

FORMAT = "csv"
MAX_ROW = 64 * 1024
_DELIMITERS = (";", "\t", "|", ",")
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?[\s;,|]*', re.IGNORECASE)
_BLANK = "".join(_DELIMITERS) + " \r\n\ufeff"
_SHOWN_COLUMNS = 400


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the rows below a header. Raises InvoiceError."""
    head = InvoiceHead(format=FORMAT, biller=options.biller, provider=options.provider, start=options.start, end=options.end)
    return InvoiceReading(head, _lines(source, options, head))


def is_above_header(line: str) -> bool:
    """Return whether a line above a header states nothing: it is blank, has empty cells only, or names the separator."""
    return not line.strip(_BLANK) or _SEPARATOR_LINE.fullmatch(line) is not None


class CsvTable:
    """The header of a CSV and its rows. ``repeated`` has the line numbers of headers in the middle, as far as it was read."""

    def __init__(self, source: BinaryIO) -> None:
        self.repeated: list[int] = []
        self._rows = self._read(source)
        self.header = next(self._rows)[1]

    def rows(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield (line number, cells) of the rows below the header. Raises InvoiceError."""
        header, width = self.header, len(self.header)
        for number, cells in self._rows:
            if len(cells) != width:
                raise InvoiceError(f"line {number}: it has {len(cells)} cells, the header has {width}")
            if cells[0] == header[0] and cells == header:
                self.repeated.append(number)
            else:
                yield number, cells

    def note_repeated(self, head: InvoiceHead) -> None:
        """Note the repeated headers."""
        if self.repeated:
            shown = ", ".join(map(str, self.repeated[:10])) + (", ..." if len(self.repeated) > 10 else "")
            head.notes.append(f"left out because they repeat the header: lines {shown}")

    def _read(self, source: BinaryIO) -> Iterator[tuple[int, list[str]]]:
        text = TextIOWrapper(source, encoding="utf-8-sig", newline="")
        try:
            lines = _BoundedLines(text)
            first, delimiter = lines.header()
            rows = csv.reader(chain([first], lines), delimiter=delimiter)
            above = lines.above
            for row in rows:
                lines.start_row()
                if any(cell.strip() for cell in row):
                    yield rows.line_num + above, row
        except UnicodeDecodeError:
            raise InvoiceError("the document is not UTF-8 text; export it as CSV in UTF-8") from None
        except csv.Error as error:
            raise InvoiceError(f"the document is not CSV: {error}") from None
        finally:
            with suppress(ValueError):  # the caller owns the file and may have closed it already
                text.detach()


class _BoundedLines:
    """The lines of a text; a row of a CSV, which may spread over lines, is limited. ``above`` counts those above the header."""

    def __init__(self, text: TextIOWrapper) -> None:
        self.above = 0
        self._text = text
        self._size = 0

    def header(self) -> tuple[str, str]:
        """Return the line of the header and the delimiter: that of a ``sep=`` line, otherwise the most frequent one."""
        delimiter = ""
        for line in self:
            separator = _SEPARATOR_LINE.fullmatch(line)
            if separator is not None:
                delimiter = separator[1]
            elif not is_above_header(line):
                return line, delimiter or max(_DELIMITERS, key=line.count)
            self.above += 1
            self.start_row()
        raise InvoiceError("the document is empty", "empty_file")

    def start_row(self) -> None:
        """Note that a row is complete."""
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_ROW):
            self._size += len(line)
            if self._size >= MAX_ROW and (self._size > MAX_ROW or not line.endswith("\n")):
                raise InvoiceError(f"a row is longer than {MAX_ROW} characters")
            yield line


def column_positions(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return the position of each field's column. Raises InvoiceError for a column that does not exist, or exists twice."""
    check_map(columns)
    names = [name.strip() for name in header]
    lower = [name.casefold() for name in names]
    wanted = dict(columns) or {field: field for field in FIELDS if field in lower}
    for field, column in wanted.items():
        found = lower.count(column.casefold())
        if not found:
            raise InvoiceError(
                f"there is no column {column[:40]!r} for {field}; the columns are {', '.join(names)[:_SHOWN_COLUMNS]}",
                "missing_column",
            )
        if found > 1:
            raise InvoiceError(
                f"there are {found} columns named {column[:40]!r}, and {field} can be only one of them; rename the others"
                f" (the columns are {', '.join(names)[:_SHOWN_COLUMNS]})",
                "duplicate_column",
            )
    return {field: lower.index(column.casefold()) for field, column in wanted.items()}


def _lines(source: BinaryIO, options: ReadOptions, head: InvoiceHead) -> Iterator[InvoiceLine]:
    table = CsvTable(source)
    positions = column_positions(table.header, options.columns)
    if not positions.keys() - {"currency", "account", "kind"}:
        raise InvoiceError(
            f"no column has the name of a field (columns: {', '.join(table.header)[:400]}); map them as FIELD=COLUMN, such as"
            f" amount=COLUMN; the fields are {', '.join(FIELDS)}",
            "missing_column",
        )
    mapped = set(positions.values())
    others = [at for at in range(len(table.header)) if at not in mapped]
    reader = LineReader(options, lambda: _amounts(source, positions))
    rows = (
        (
            number,
            {field: cells[at].strip() for field, at in positions.items()},
            [cells[at].strip() for at in others] if others else (),
        )
        for number, cells in table.rows()
    )
    yield from reader.lines(rows, head)
    table.note_repeated(head)


def _amounts(source: BinaryIO, positions: Mapping[str, int]) -> Iterable[str]:
    """Yield the amounts of a CSV from its start; the position in the file stays."""
    before = source.tell()
    source.seek(0)
    try:
        fields = [at for field, at in positions.items() if field in AMOUNT_FIELDS]
        for _, cells in CsvTable(source).rows():
            yield from (cells[at].strip() for at in fields)
    finally:
        source.seek(before)
