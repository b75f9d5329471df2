"""CSV by RFC 4180, in UTF-8 with CRLF line ends, written in chunks.

Spreadsheets execute cells that start like a formula. Such text gets an apostrophe in front (OWASP, "CSV Injection": the
characters, their full-width variants, and white space that is skipped before them). Numbers are written unchanged.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

_ROWS_AT_ONCE = 500
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Cell = str | int | None


def csv_chunks(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """Yield the file in chunks of 500 rows; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    remaining = iter(rows)
    while True:
        chunk = list(islice(remaining, _ROWS_AT_ONCE))
        writer.writerows(chunk)
        yield text.getvalue().encode()
        if len(chunk) < _ROWS_AT_ONCE:
            return
        text.seek(0)
        text.truncate()


def joined_chunks(header: Sequence[str], lines: Iterable[str]) -> Iterator[bytes]:
    """Yield a file of lines that are already CSV, in chunks of 500."""
    remaining = iter(lines)
    chunk = [csv_fields(header)]
    while chunk:
        yield "".join(f"{line}\r\n" for line in chunk).encode()
        chunk = list(islice(remaining, _ROWS_AT_ONCE))


def csv_fields(cells: Sequence[Cell]) -> str:
    """Return cells as CSV without a line end.

    Cells that thousands of lines share are quoted once and reused: quoting fifty cells takes longer than the rest of a line.
    """
    text = io.StringIO()
    # With the default line terminator, every Python version quotes cells that contain a line end.
    csv.writer(text).writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def escape_formula(text: str) -> str:
    """Return text that no spreadsheet executes."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
