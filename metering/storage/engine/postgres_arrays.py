"""Many values as one parameter of a statement: arrays as PostgreSQL writes them, to be CAST where they are used.

Handed a list, the driver looks at each element twice, in Python; a text it passes on.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Integer, Text
from sqlalchemy.types import TypeEngine


def array_of(kind: TypeEngine[Any], values: Sequence[Any]) -> str | list[Any]:
    """Return the values of a column as a parameter; those of kinds that are rarely many are left to the driver."""
    if isinstance(kind, Integer):
        return array_of_integers(values)
    return array_of_texts(values) if isinstance(kind, Text) else list(values)


def array_of_integers(values: Iterable[int | None]) -> str:
    """Return the values as an array of integers; None is NULL."""
    # Nothing but digits, signs and commas stand around it.
    return f"{{{','.join(map(str, values))}}}".replace("None", "NULL")


def array_of_uuids(values: Iterable[bytes]) -> str:
    """Return values of 16 bytes as an array of uuid."""
    return f"{{{','.join([value.hex() for value in values])}}}"


def array_of_texts(values: Iterable[str | None]) -> str:
    """Return the values as an array of text; None is NULL."""
    return f"{{{','.join(['NULL' if value is None else _quoted(value) for value in values])}}}"


def _quoted(value: str) -> str:
    # Within quotes only these two mean something else than themselves.
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
