"""Corrections: of each event a reversal and a replacement, from one row of the values that the two are made of.

Values that both entries share are bound once: a statement takes eight values an event where two rows have twenty-two, and
binding takes most of the time of a bulk insert.
"""

from collections.abc import Mapping, Sequence
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


class Move(NamedTuple):
    """The current entry of an event, and the entry that replaces it, in another series. Both are in the same billing month."""

    event_id: int
    series_id: int
    before_nano: int
    rate_id: int | None
    price_grade: int
    billing_month: int
    after_nano: int
    new_rate_id: int | None
    new_price_grade: int
    new_series_id: int


_ROWS_A_STATEMENT = 750
# Values that all rows share are the first parameters of a statement.
_SHARED = ("recorded_at", "reason", "run_id")


class _Pairs:
    """Inserts a reversal and a replacement for each row of ``fields``. ``replaced`` maps columns to what replaces them."""

    def __init__(self, fields: tuple[str, ...], replaced: Mapping[str, str]) -> None:
        self._fields = fields
        self._replaced = replaced
        first = f"({', '.join(f'?{number}' for number, _ in enumerate(fields, len(_SHARED) + 1))})"
        entries = {
            "event_id": "event_id",
            "series_id": "series_id",
            "sign": "sign",
            "amount_nano": "CASE sign WHEN 1 THEN after_nano ELSE -before_nano END",
            "rate_id": "rate_id",
            "price_grade": "price_grade",
            "billing_month": "billing_month",
            **{name: f"?{number}" for number, name in enumerate(_SHARED, 1)},
        }
        entries |= {name: f"CASE sign WHEN 1 THEN {new} ELSE {name} END" for name, new in replaced.items()}
        self._before = f"WITH correction ({', '.join(fields)}) AS (VALUES {first}"
        self._next = f", ({', '.join('?' * len(fields))})"
        # The reversal is written first: the entries of an event are read by ID.
        self._after = (
            f") INSERT INTO {charges.name} ({', '.join(entries)}) SELECT {', '.join(entries.values())}"
            " FROM correction CROSS JOIN (SELECT -1 AS sign UNION ALL SELECT 1)"
        )

    def insert_pairs(self, connection: Connection, rows: Sequence[Any], shared: Mapping[str, Any]) -> None:
        """Insert on SQLite, where binding fewer values saves most of the time."""
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            part = rows[start : start + _ROWS_A_STATEMENT]
            sql = f"{self._before}{self._next * (len(part) - 1)}{self._after}"
            connection.exec_driver_sql(sql, (*(shared[name] for name in _SHARED), *chain.from_iterable(part)))

    def insert_rows(self, connection: Connection, rows: Sequence[Any], shared: Mapping[str, Any]) -> None:
        """Insert on PostgreSQL, which takes whole rows, in any number."""
        entries = [entry for each in rows for entry in self._entries(each, {"id": None, **shared})]
        _INSERT.run(connection, [tuple(entry[name] for name in charges.c.keys()) for entry in entries])  # noqa: SIM118

    def _entries(self, row: Any, shared: dict[str, Any]) -> list[dict[str, Any]]:
        values = dict(zip(self._fields, row, strict=True))
        current = {name: values[name] for name in ("event_id", "series_id", "rate_id", "price_grade", "billing_month")} | shared
        replacement = {name: values.get(new, int(PriceGrade.RATED)) for name, new in self._replaced.items()}
        return [
            current | {"sign": -1, "amount_nano": -values["before_nano"]},
            current | {"sign": 1, "amount_nano": values["after_nano"]} | replacement,
        ]


_INSERT = insert_all(charges)
_CORRECTIONS = _Pairs(Correction._fields, {"rate_id": "new_rate_id", "price_grade": str(int(PriceGrade.RATED))})
_MOVES = _Pairs(Move._fields, {"rate_id": "new_rate_id", "price_grade": "new_price_grade", "series_id": "new_series_id"})
_INSERT_CORRECTIONS = PerBackend(sqlite=_CORRECTIONS.insert_pairs, postgres=_CORRECTIONS.insert_rows)
_INSERT_MOVES = PerBackend(sqlite=_MOVES.insert_pairs, postgres=_MOVES.insert_rows)


def insert_corrections(
    connection: Connection, corrections: Sequence[Correction], *, reason: str, now: int, run_id: int
) -> None:
    """Append reversals and replacements, in the order of the corrections."""
    _INSERT_CORRECTIONS.of(connection)(connection, corrections, {"recorded_at": now, "reason": reason, "run_id": run_id})


def insert_moves(connection: Connection, moves: Sequence[Move], *, reason: str, now: int, run_id: int) -> None:
    """Append reversals and replacements in other series, in the order of the moves."""
    _INSERT_MOVES.of(connection)(connection, moves, {"recorded_at": now, "reason": reason, "run_id": run_id})
