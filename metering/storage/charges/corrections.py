"""Corrections: of each event a reversal and a replacement, from one row of what the two are made of.

What both entries share is bound once: a statement takes eight values an event where two rows have twenty-two, and that is what
most of the time of a bulk insert goes into.
"""

from typing import Any

from sqlalchemy import Connection

from metering.domain.usage.events import PriceGrade
from metering.storage.engine.backend import PerBackend
from metering.storage.engine.bulk import insert_all
from metering.storage.tables import charges

CORRECTION_COLUMNS = (
    "event_id", "series_id", "before_nano", "rate_id", "price_grade", "billing_month", "after_nano", "new_rate_id",
)  # fmt: skip
"""The entry that holds, and what replaces it: a rated charge in the same series and billing month."""

_WIDTH = len(CORRECTION_COLUMNS)
_ROWS_A_STATEMENT = 900
_FIRST = "(?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"  # after the three values that all share
_NEXT = ", (?, ?, ?, ?, ?, ?, ?, ?)"
_ENTRIES = {
    "event_id": "event_id",
    "series_id": "series_id",
    "sign": "sign",
    "amount_nano": "CASE sign WHEN 1 THEN after_nano ELSE -before_nano END",
    "rate_id": "CASE sign WHEN 1 THEN new_rate_id ELSE rate_id END",
    "price_grade": f"CASE sign WHEN 1 THEN {int(PriceGrade.RATED)} ELSE price_grade END",
    "billing_month": "billing_month",
    "recorded_at": "?1",
    "reason": "?2",
    "run_id": "?3",
}
_BEFORE = f"WITH correction ({', '.join(CORRECTION_COLUMNS)}) AS (VALUES {_FIRST}"
# The reversal is written first: entries of an event are read in the order of their ids.
_AFTER = (
    f") INSERT INTO {charges.name} ({', '.join(_ENTRIES)}) SELECT {', '.join(_ENTRIES.values())}"
    " FROM correction CROSS JOIN (SELECT -1 AS sign UNION ALL SELECT 1)"
)


# Of PostgreSQL, which takes whole rows, and as many as there are.
_INSERT = insert_all(charges)


def _entries(correction: list[Any], *shared: Any) -> list[tuple[Any, ...]]:
    """Return the reversal and the replacement as rows of ``charges``; ``shared`` are its last three columns."""
    event_id, series_id, before_nano, rate_id, grade, month, after_nano, new_rate_id = correction
    return [
        (None, event_id, series_id, -1, -before_nano, rate_id, grade, month, *shared),
        (None, event_id, series_id, 1, after_nano, new_rate_id, int(PriceGrade.RATED), month, *shared),
    ]


def insert_corrections(connection: Connection, values: list[Any], *, reason: str, now: int, run_id: int) -> None:
    """Append reversals and replacements; ``values`` holds CORRECTION_COLUMNS of one event after the other."""
    _INSERT_CORRECTIONS.of(connection)(connection, values, (now, reason, run_id))


def _insert_pairs(connection: Connection, values: list[Any], shared: tuple[Any, ...]) -> None:
    step = _ROWS_A_STATEMENT * _WIDTH
    for start in range(0, len(values), step):
        part = values[start : start + step]
        sql = f"{_BEFORE}{_NEXT * (len(part) // _WIDTH - 1)}{_AFTER}"
        connection.exec_driver_sql(sql, (*shared, *part))


def _insert_rows(connection: Connection, values: list[Any], shared: tuple[Any, ...]) -> None:
    corrections = (values[start : start + _WIDTH] for start in range(0, len(values), _WIDTH))
    _INSERT.run(connection, [row for each in corrections for row in _entries(each, *shared)])


_INSERT_CORRECTIONS = PerBackend(sqlite=_insert_pairs, postgres=_insert_rows)
