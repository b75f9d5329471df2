"""JSON logs of any shape: a map from event fields to dotted paths, such as ``model=req.model,input_tokens=usage.in``.

A record becomes a row with one cell per path, and is then read exactly like CSV: the same fields, the same errors. A field
whose own name contains dots comes before a path into objects; a number in a path is an item of a list.
"""

import csv
import io
from decimal import Decimal
from typing import Any

from metering.domain.errors import RecordError
from metering.domain.usage.events import UsageEvent
from metering.formats.csv_columns import CsvReader
from metering.formats.json_records import json_object, json_type
from metering.formats.reading import Reading

# Content of requests and answers: never kept, so not worth a remark.
_CONTENT = frozenset(
    {"messages", "message", "choices", "prompt", "input", "output", "content", "data", "text", "instructions", "completion"}
)


class MappedJsonReader:
    """Reads JSON records by a map of paths. Raises LogFormatError for a map that cannot be an event."""

    def __init__(self, reading: Reading) -> None:
        options = reading.options
        self._unread = reading.unread
        self._paths = tuple(dict.fromkeys((*options.columns.values(), *options.tag_fields)))
        self._known = {path.split(".")[0] for path in self._paths} | set(self._paths) | _CONTENT
        self._rows = CsvReader(reading)
        for _ in self._rows.rows(_row(list(self._paths)), 1, 0):
            pass

    def read(self, raw: bytes) -> UsageEvent:
        """Return the event of one record. Raises RecordError."""
        record = json_object(raw)
        event = self._rows.read(_row([_cell(record, path) for path in self._paths]))
        for name, value in record.items():
            if name not in self._known and value is not None:
                self._unread.note(name)
        return event

    def kept(self, raw: bytes) -> dict[str, str]:
        """Return the mapped identifying fields of a rejected record, which quarantine may keep."""
        try:
            record = json_object(raw)
            return self._rows.kept(_row([_cell(record, path) for path in self._paths]))
        except RecordError:
            return {}


def value_at(record: Any, path: str) -> Any:
    """Return what a record has at a dotted path; None if it has nothing there."""
    if isinstance(record, dict) and path in record:
        return record[path]
    name, _, rest = path.partition(".")
    if isinstance(record, list):
        index = int(name) if name.isascii() and name.isdecimal() and len(name) < 6 else len(record)
        inner = record[index] if index < len(record) else None
    else:
        inner = record.get(name) if isinstance(record, dict) else None
    return value_at(inner, rest) if rest else inner


def _cell(record: dict[str, Any], path: str) -> str:
    """Return a value as CSV would have it. Raises RecordError for an object or a list."""
    value = value_at(record, path)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > 40:
            raise RecordError("wrong_type", f"{path[:60]} must be a number that can be written out", path[:60])
        return str(int(value)) if value == value.to_integral_value() else f"{value:f}"
    raise RecordError("wrong_type", f"{path[:60]} is {json_type(value)}; map a single value inside it", path[:60])


def _row(cells: list[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    # What is not valid Unicode must not become valid: the reader refuses these bytes.
    return buffer.getvalue().encode("utf-8", "surrogatepass")
