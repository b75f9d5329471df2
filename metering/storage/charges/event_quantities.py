"""Quantities in the database: kinds with a column, and the other kinds that are not zero as JSON in ``other_quantities``.

A kind without a column in a table is read from the table's JSON, so the database takes a new kind as it is.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, FromClause, func

from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.storage.engine.sql import json_integer
from pricing.quantities import ALL_KINDS, Quantities

_decode = msgspec.json.Decoder(dict[str, int]).decode


def quantity(source: FromClause, kind: str) -> ColumnElement[int]:
    """Return how much of a kind a row of events, of sums or of the ledger has, as SQL."""
    column: ColumnElement[int] | None = source.c.get(kind)
    return func.coalesce(json_integer(source.c.other_quantities, kind), 0) if column is None else column


def quantity_columns(source: FromClause) -> list[ColumnElement[int]]:
    """Return all kinds in the order of ALL_KINDS, each under its name."""
    return [quantity(source, kind).label(kind) for kind in ALL_KINDS]


def quantities_of(row: Any) -> Quantities:
    """Return what the event of a row with the columns of ``events`` used."""
    return Quantities(**{kind: getattr(row, kind) for kind in COLUMN_KINDS}, **decode_others(row.other_quantities))


def decode_others(other_quantities: str) -> dict[str, int]:
    """Return the kinds without a column of an event or a sum, by name."""
    return _decode(other_quantities) if other_quantities else {}
