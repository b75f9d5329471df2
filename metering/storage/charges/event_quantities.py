"""The quantities of an event's row: the common kinds in columns, the others that are not zero as JSON."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func

from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.storage.engine.sql import json_integer
from metering.storage.tables import events
from pricing.quantities import ALL_KINDS, Quantities

_decode = msgspec.json.Decoder(dict[str, int]).decode


def quantity(kind: str) -> ColumnElement[int]:
    """Return how much of a kind an event used, as SQL."""
    if kind in COLUMN_KINDS:
        return events.c[kind]
    return func.coalesce(json_integer(events.c.other_quantities, kind), 0)


def quantity_columns() -> list[ColumnElement[int]]:
    """Return all kinds in the order of ALL_KINDS, each under its name."""
    return [quantity(kind).label(kind) for kind in ALL_KINDS]


def quantities_of(row: Any) -> Quantities:
    """Return what the event of a row with the columns of ``events`` used."""
    others = _decode(row.other_quantities) if row.other_quantities else {}
    return Quantities(**{kind: getattr(row, kind) for kind in COLUMN_KINDS}, **others)
