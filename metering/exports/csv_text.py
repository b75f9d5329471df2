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


def inert(text: str) -> str:
    """Return text that a spreadsheet takes for text."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
