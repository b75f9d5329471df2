"""Corrections: of each event a reversal and a replacement, from one row of the values that the two are made of.

Values that both entries share are bound once: a statement takes eight values an event where two rows have twenty-two, and
binding takes most of the time of a bulk insert.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection

from metering.domain.usage.events import PriceGrade
from metering.storage.engine.backend import PerBackend
from metering.storage.engine.bulk import insert_all
from metering.storage.tables import charges


class Correction(NamedTuple):
    """The current entry of an event, and the amount and rate of the rated one that replaces it.

    Both entries are in the same series and billing month.
    """

    event_id: int
    series_id: int
    before_nano: int
    rate_id: int | None
    price_grade: int
    billing_month: int
    after_nano: int
    new_rate_id: int


_ROWS_A_STATEMENT = 900
# Values that all rows share are the first parameters of a statement.
_SHARED = ("recorded_at", "reason", "run_id")
_FIRST = f"({', '.join(f'?{number}' for number, _ in enumerate(Correction._fields, len(_SHARED) + 1))})"
_NEXT = f", ({', '.join('?' * len(Correction._fields))})"
_ENTRIES = {
    "event_id": "event_id",
    "series_id": "series_id",
    "sign": "sign",
    "amount_nano": "CASE sign WHEN 1 THEN after_nano ELSE -before_nano END",
    "rate_id": "CASE sign WHEN 1 THEN new_rate_id ELSE rate_id END",
    "price_grade": f"CASE sign WHEN 1 THEN {int(PriceGrade.RATED)} ELSE price_grade END",
    "billing_month": "billing_month",
    **{name: f"?{number}" for number, name in enumerate(_SHARED, 1)},
}
_BEFORE = f"WITH correction ({', '.join(Correction._fields)}) AS (VALUES {_FIRST}"
# The reversal is written first: the entries of an event are read by ID.
_AFTER = (
    f") INSERT INTO {charges.name} ({', '.join(_ENTRIES)}) SELECT {', '.join(_ENTRIES.values())}"
    " FROM correction CROSS JOIN (SELECT -1 AS sign UNION ALL SELECT 1)"
)


# For PostgreSQL, which takes whole rows, in any number.
_INSERT = insert_all(charges)


def _entries(correction: Correction, shared: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the columns of the reversal and of the replacement; ``shared`` are those that all corrections share."""
    both = {"event_id": correction.event_id, "series_id": correction.series_id, "billing_month": correction.billing_month}
    reversal = {
        "sign": -1,
        "amount_nano": -correction.before_nano,
        "rate_id": correction.rate_id,
        "price_grade": correction.price_grade,
    }
    replacement = {
        "sign": 1,
        "amount_nano": correction.after_nano,
        "rate_id": correction.new_rate_id,
        "price_grade": int(PriceGrade.RATED),
    }
    return [both | reversal | shared, both | replacement | shared]


def insert_corrections(
    connection: Connection, corrections: Sequence[Correction], *, reason: str, now: int, run_id: int
) -> None:
    """Append reversals and replacements, in the order of the corrections."""
    _INSERT_CORRECTIONS.of(connection)(connection, corrections, {"recorded_at": now, "reason": reason, "run_id": run_id})


def _insert_pairs(connection: Connection, corrections: Sequence[Correction], shared: dict[str, Any]) -> None:
    for start in range(0, len(corrections), _ROWS_A_STATEMENT):
        part = corrections[start : start + _ROWS_A_STATEMENT]
        sql = f"{_BEFORE}{_NEXT * (len(part) - 1)}{_AFTER}"
        connection.exec_driver_sql(sql, (*(shared[name] for name in _SHARED), *chain.from_iterable(part)))


def _insert_rows(connection: Connection, corrections: Sequence[Correction], shared: dict[str, Any]) -> None:
    entries = [entry for each in corrections for entry in _entries(each, {"id": None, **shared})]
    _INSERT.run(connection, [tuple(entry[name] for name in charges.c.keys()) for entry in entries])  # noqa: SIM118


_INSERT_CORRECTIONS = PerBackend(sqlite=_insert_pairs, postgres=_insert_rows)
