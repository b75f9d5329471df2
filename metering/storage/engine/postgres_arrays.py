"""Many values as one parameter of a statement: arrays in PostgreSQL's text form, CAST where they are used.

The driver inspects each element of a list twice, in Python; text is passed on as it is.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Integer, Text
from sqlalchemy.types import TypeEngine


def array_of(kind: TypeEngine[Any], values: Sequence[Any]) -> str | list[Any]:
    """Return the values of a column as a parameter; types that rarely have many values are left to the driver."""
    if isinstance(kind, Integer):
        return array_of_integers(values)
    return array_of_texts(values) if isinstance(kind, Text) else list(values)


def array_of_integers(values: Iterable[int | None]) -> str:
    """Return the values as an array of integers; None is NULL."""
    # Only digits, signs and commas are around it.
    return f"{{{','.join(map(str, values))}}}".replace("None", "NULL")


def array_of_uuids(values: Iterable[bytes]) -> str:
    """Return values of 16 bytes as an array of uuid."""
    return f"{{{','.join([value.hex() for value in values])}}}"


def array_of_texts(values: Iterable[str | None]) -> str:
    """Return the values as an array of text; None is NULL."""
    return f"{{{','.join(['NULL' if value is None else _quoted(value) for value in values])}}}"


def _quoted(value: str) -> str:
    # Only these two characters are special within quotes.
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
