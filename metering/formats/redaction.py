"""A raw record as people may see it: numbers, and the texts that identify or measure a request. All other text is hidden.

The content of requests and answers is never shown, whatever it is called: a text is shown only where its field is one that is
read, or that the user mapped or tagged, and a number only outside of content.
"""

import csv
from collections.abc import Collection
from typing import Any

import msgspec

from metering.domain.errors import RecordError
from metering.formats.csv_columns import MAPPABLE_FIELDS
from metering.formats.json_records import json_object, json_type

HIDDEN = "\N{HORIZONTAL ELLIPSIS}"
LONGEST = 200
_LONGEST_TEXT = 80

# Below these, nothing is shown, not even numbers.
_CONTENT = frozenset(
    {
        "messages", "message", "choices", "prompt", "input", "output", "content", "data", "text", "instructions", "completion",
        "delta", "arguments", "tools", "tool_calls", "functions", "reasoning", "reasoning_content", "embedding", "embeddings",
        "query", "documents", "inputs", "outputs", "generated_text", "image", "images", "audio", "video",
    }
)  # fmt: skip
# Texts that the readers use, and names that only repeat what kind of record it is.
_SHOWN = frozenset(
    {
        *MAPPABLE_FIELDS, "timestamp", "start_time", "started_at", "startTime", "endTime", "ended_at", "finished_at",
        "completed_at", "created", "created_at", "object", "type", "status_code", "url", "path", "method", "finish_reason",
        "service_tier", "custom_llm_provider", "call_type", "providerID", "model_provider",
    }
)  # fmt: skip


def redacted_json(raw: bytes, shown_paths: Collection[str] = ()) -> str:
    """Return a JSON record without what may be content. ``shown_paths`` are dotted paths that the user mapped or tagged."""
    try:
        record = json_object(raw)
    except RecordError as error:
        return f"({len(raw):,} bytes, {error.code})"
    return _shortened(msgspec.json.encode(_redacted(record, "", frozenset(shown_paths)), enc_hook=str).decode())


def redacted_row(raw: bytes, header: list[str], delimiter: str, shown_columns: Collection[str] = ()) -> str:
    """Return a CSV row as ``column=value``, without what may be content."""
    text = raw.decode("utf-8", "replace")
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        cells = []
    if len(cells) != len(header):
        return f"({len(raw):,} bytes, {len(cells)} cells)"
    shown = {*shown_columns, *_SHOWN}
    parts = [
        f"{name}={_shown_text(cell) if _may_show(name, cell, shown) else HIDDEN}"
        for name, cell in zip(header, cells, strict=True)
    ]
    return _shortened(", ".join(parts))


def _redacted(value: Any, path: str, shown: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name[:_LONGEST_TEXT]: _field(name, inner, path, shown) for name, inner in value.items()}
    if isinstance(value, list):
        return [_field(str(at), inner, path, shown) for at, inner in enumerate(value[:3])]
    return value


def _field(name: str, value: Any, path: str, shown: frozenset[str]) -> Any:
    here = f"{path}.{name}" if path else name
    if here in shown and not isinstance(value, dict | list):
        return _shown_text(value) if isinstance(value, str) else value
    if name in _CONTENT and not any(each.startswith(f"{here}.") for each in shown):
        return value if value is None else f"({json_type(value)}, hidden)"
    if isinstance(value, str):
        return _shown_text(value) if name in _SHOWN else HIDDEN
    if isinstance(value, dict | list):
        return _redacted(value, here, shown)
    return value


def _may_show(name: str, cell: str, shown: set[str]) -> bool:
    number = cell.strip().removeprefix("-").replace(".", "", 1)
    return name in shown or (name not in _CONTENT and number.isascii() and number.isdecimal())


def _shown_text(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}{HIDDEN}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}{HIDDEN}"
