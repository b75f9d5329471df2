"""Events as Parquet, for retention: one file for the events, one each for their later charges and their copies.

Amounts are nano-USD and counts integers, as in the log; times are microseconds UTC; JSON in the log stays JSON. pyarrow is an
optional dependency and slow to import, so it is imported when a file is written.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from metering.domain.errors import DomainError
from metering.domain.usage.batch_events import COLUMN_KINDS


class ParquetMissingError(DomainError):
    """pyarrow is not installed."""

    code = "missing_package"


class ParquetColumn(NamedTuple):
    """A column of a file: its name, its pyarrow type, and the SQL expression that fills it."""

    name: str
    type: str
    sql: str


_INT, _TEXT, _TIME = "int64", "string", "timestamp"

EVENTS: tuple[ParquetColumn, ...] = (
    ParquetColumn("event_id", _INT, "events.id"),
    ParquetColumn("id", _TEXT, "events.external_id"),
    ParquetColumn("source", _TEXT, "sources.name"),
    ParquetColumn("event_time", _TIME, "events.event_time"),
    ParquetColumn("account_id", _INT, "events.account_id"),
    ParquetColumn("account", _TEXT, "account_names.name"),
    ParquetColumn("assigned_to", _INT, "assigned_events.account_id"),
    ParquetColumn("counted_as", _INT, "assigned_events.counted_as"),
    ParquetColumn("superseded", _INT, "CASE WHEN superseded_events.event_id IS NULL THEN 0 ELSE 1 END"),
    ParquetColumn("superseded_by", _INT, "superseded_events.superseded_by"),
    *(ParquetColumn(name, _TEXT, f"series.{name}") for name in ("provider", "model", "operation", "route", "project")),
    ParquetColumn("key", _TEXT, 'series."key"'),
    ParquetColumn("tags", _TEXT, "series.tags"),
    ParquetColumn("status", _INT, "events.status"),
    ParquetColumn("quantity_grade", _INT, "events.quantity_grade"),
    *(ParquetColumn(name, _INT, f"events.{name}") for name in COLUMN_KINDS),
    ParquetColumn("other_quantities", _TEXT, "events.other_quantities"),
    ParquetColumn("charge_nano_usd", _INT, "events.charge_nano"),
    *(ParquetColumn(name, _INT, f"events.{name}") for name in ("rate_id", "price_grade", "billing_month")),
    *(ParquetColumn(name, _TEXT, f"events.{name}") for name in ("response_id", "inference_id")),
    ParquetColumn("latency_ms", _INT, "events.latency_ms"),
    ParquetColumn("details", _TEXT, "events.details"),
)
CHARGES: tuple[ParquetColumn, ...] = (
    *(ParquetColumn(name, _INT, name) for name in ("id", "event_id", "series_id", "sign")),
    ParquetColumn("amount_nano_usd", _INT, "amount_nano"),
    *(ParquetColumn(name, _INT, name) for name in ("rate_id", "price_grade", "billing_month")),
    ParquetColumn("recorded_at", _TIME, "recorded_at"),
    ParquetColumn("reason", _TEXT, "reason"),
    ParquetColumn("run_id", _INT, "run_id"),
)
COPIES: tuple[ParquetColumn, ...] = (
    *(ParquetColumn(name, _INT, name) for name in ("id", "copy_of", "account_id", "source_id")),
    ParquetColumn("external_id", _TEXT, "external_id"),
    *(ParquetColumn(name, _TIME, name) for name in ("event_time", "received_at")),
    ParquetColumn("content", _TEXT, "content"),
)


def expressions(columns: Sequence[ParquetColumn]) -> str:
    """Return the SQL of the columns, in order."""
    return ", ".join(f"{column.sql} AS {column.name}" for column in columns)


def write_parquet(path: Path, columns: Sequence[ParquetColumn], portions: Iterable[Sequence[Sequence[Any]]]) -> int:
    """Write rows to a new file, one portion after the other; return how many. Raises ParquetMissingError."""
    arrow, parquet = _pyarrow()
    types = {_INT: arrow.int64(), _TEXT: arrow.string(), _TIME: arrow.timestamp("us", "UTC")}
    schema = arrow.schema([arrow.field(column.name, types[column.type]) for column in columns])
    written = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in portions:
            arrays = [arrow.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
            writer.write_table(arrow.table(arrays, schema=schema))
            written += len(rows)
    return written


def count_rows(path: Path) -> int:
    """Return the number of rows of a file."""
    _, parquet = _pyarrow()
    return int(parquet.read_metadata(path).num_rows)


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ParquetMissingError(
            "writing Parquet needs pyarrow: pip install 'hf-metering[parquet]', or drop the events with --without-export"
        ) from None
