"""Reading exported files in tests."""

import csv
import io
from decimal import Decimal, localcontext


def text_of(chunks) -> str:
    """Return the whole file."""
    return b"".join(chunks).decode()


def table(chunks) -> list[dict[str, str]]:
    """Return the rows of a CSV as dicts by column name."""
    return list(csv.DictReader(io.StringIO(text_of(chunks), newline=""), strict=True))


def exact_sum(amounts) -> Decimal:
    """Return the sum of decimal strings; empty cells are skipped."""
    with localcontext(prec=200):
        return sum((Decimal(amount) for amount in amounts if amount), Decimal(0))
