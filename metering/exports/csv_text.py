"""CSV as RFC 4180 has it, made a stretch at a time, in UTF-8 with CRLF line ends.

A spreadsheet runs what begins like a formula. Text that does gets an apostrophe in front (OWASP, "CSV Injection": the
characters, their full-width variants, and the white space that is skipped before them). Numbers are written as they are.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

_ROWS_AT_ONCE = 500
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Cell = str | int | None


def csv_chunks(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """Yield the file in pieces of some hundred rows; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    coming = iter(rows)
    while True:
        some = list(islice(coming, _ROWS_AT_ONCE))
        writer.writerows(some)
        yield text.getvalue().encode()
        if len(some) < _ROWS_AT_ONCE:
            return
        text.seek(0)
        text.truncate()


def joined_chunks(header: Sequence[str], lines: Iterable[str]) -> Iterator[bytes]:
    """Yield a file of lines that are written already, in pieces of some hundred."""
    coming = iter(lines)
    some = [csv_fields(header)]
    while some:
        yield "".join(f"{line}\r\n" for line in some).encode()
        some = list(islice(coming, _ROWS_AT_ONCE))


def csv_fields(cells: Sequence[Cell]) -> str:
    """Return cells as they stand on a line, without its end.

    What thousands of lines share is written once and pasted: quoting fifty cells takes longer than all else that a line needs.
    """
    text = io.StringIO()
    # Not every Python's writer quotes the line ends that a name may hold where its own is another.
    csv.writer(text).writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def escape_formula(text: str) -> str:
    """Return text that a spreadsheet takes for text."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
