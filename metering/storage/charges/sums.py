"""Reading and writing sums of ledger entries: the columns of a statement, next to how their values are read.

A source is a table of sums (``rollups``, ``month_rollups``, ``retired_rollups``) or the ledger itself.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, FromClause, func

from metering.domain.charges.ledger_sums import LedgerSums
from metering.storage.charges.event_quantities import quantity
from metering.storage.engine.sql import halved_sum, whole_sum
from metering.storage.tables.sums import SUMMED_KINDS
from pricing.quantities import ALL_KINDS, picker

_OTHER_KINDS = tuple(kind for kind in ALL_KINDS if kind not in SUMMED_KINDS)
_column_amounts, _other_amounts = picker(SUMMED_KINDS), picker(_OTHER_KINDS)


def added_up(source: FromClause) -> list[ColumnElement[int]]:
    """Return the columns that add up the rows of a source, for ``read_added_up``.

    Amounts are added in halves: a reversal may come long after what it reverses, and the sum over many accounts may leave 64
    bits. Quantities are not: MAX_QUANTITY leaves room for nine billion events.
    """
    quantities = [func.sum(quantity(source, kind)) for kind in ALL_KINDS]
    return [func.sum(source.c.events), *quantities, *halved_sum(source.c.amount_nano)]


def read_added_up(values: Iterable[Any]) -> LedgerSums:
    """Return what the columns of ``added_up`` found."""
    events, *quantities, high, low = values
    return LedgerSums(int(events), tuple(map(int, quantities)), whole_sum(high, low))


def stored_sums(source: FromClause) -> list[ColumnElement[int]]:
    """Return the columns of single rows of a source, for ``read_stored_sums``."""
    return [source.c.events, *(quantity(source, kind) for kind in ALL_KINDS), source.c.amount_nano]


def read_stored_sums(values: Iterable[Any]) -> LedgerSums:
    """Return what the columns of ``stored_sums`` found."""
    events, *quantities, amount_nano = map(int, values)
    return LedgerSums(events, tuple(quantities), amount_nano)


def row_of_sums(key: tuple[int, ...], sums: LedgerSums) -> tuple[Any, ...]:
    """Return a row of a table of sums, in the order of its columns (see ``tables.sums``)."""
    others = {kind: amount for kind, amount in zip(_OTHER_KINDS, _other_amounts(sums.quantities), strict=True) if amount}
    encoded = msgspec.json.encode(others).decode() if others else ""
    return (*key, sums.events, *_column_amounts(sums.quantities), sums.amount_nano, encoded)
