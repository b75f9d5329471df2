"""Detect the format of a log from its first 64 KiB. If they are not conclusive, the user is asked; nothing is guessed."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

import msgspec

from metering.domain.errors import LogFormatError
from metering.formats.csv_columns import MAPPABLE_FIELDS, column_positions, read_header
from metering.formats.openai_usage import COMPLETION_NAMES, PROMPT_NAMES
from pricing.quantities import ALL_KINDS

Format = Literal["native", "openai", "json", "csv"]
Shape = Literal["lines", "document"]

_BOM = b"\xef\xbb\xbf"
_OPENAI_KEYS = frozenset({"choices", "object", "request", "response"})
_STREAM_STARTS = (b"data:", b"event:")
_STREAM_EVENTS = ("message_", "content_block_", "response.")
_OPENAI_USAGE_KEYS = frozenset({"prompt_tokens", "completion_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"})
_SAMPLED_LINES = 20
_ADVICE = "set the format with --format native, openai or csv, or map its fields with --map"


class DetectedFormat(NamedTuple):
    """A log's format, and whether each line or the whole input is one JSON value (a CSV always has lines)."""

    format: Format
    shape: Shape


def detect_format(head: bytes, file_name: str, *, columns: Mapping[str, str] = {}) -> DetectedFormat:
    """Return the format of a log, from its head (up to 64 KiB), its file name and the user's column map.

    Raises LogFormatError with what was found and what to do.
    """
    _require_text(head)
    text = head.removeprefix(_BOM).lstrip()
    if not text:
        raise LogFormatError("the input is empty", "empty_file")
    if columns and text[:1] in (b"{", b"["):
        return DetectedFormat("json", _shape(text, file_name))
    if columns:
        return DetectedFormat("csv", "lines")
    if text[:1] in (b"{", b"["):
        shape = _shape(text, file_name)
        return DetectedFormat(_json_format(text, shape), shape)
    if text.startswith(_STREAM_STARTS):
        return DetectedFormat("openai", "lines")
    return _csv_format(text)


def stated_format(chosen: Format, head: bytes, file_name: str) -> DetectedFormat:
    """Return the format that the user states, with the shape of the input. Raises LogFormatError for an unreadable input."""
    _require_text(head)
    text = head.removeprefix(_BOM).lstrip()
    if not text:
        raise LogFormatError("the input is empty", "empty_file")
    is_json = chosen != "csv" and text[:1] in (b"{", b"[")
    return DetectedFormat(chosen, _shape(text, file_name) if is_json else "lines")


def _require_text(head: bytes) -> None:
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")):
        raise LogFormatError("the input is compressed; decompress it first (only gzip files are read directly)")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise LogFormatError("the input is UTF-16; convert it to UTF-8 first")


def _shape(text: bytes, file_name: str) -> Shape:
    """Return whether the input is NDJSON or one document: in NDJSON, the first line is a complete JSON object."""
    if text.startswith(b"["):
        return "document"
    lines = text.split(b"\n")
    if len(lines) == 1:  # a single line, possibly longer than the head
        return "document" if PurePath(file_name).suffix.lower() == ".json" else "lines"
    # A bad first line does not make it a document: in a document, no later line starts with the brace of another object.
    return "lines" if _object(lines[0]) is not None or any(line.startswith(b"{") for line in lines[1:]) else "document"


def _json_format(text: bytes, shape: Shape) -> Format:
    seen: list[str] = []
    for record in _records(text, shape):
        detected = _format_of(record)
        if detected:
            return detected
        seen = seen or list(record)
    detected = _format_of_keys({match.decode("utf-8", "replace") for match in re.findall(rb'"(\w{1,40})"\s*:', text)})
    if detected and not seen:
        return detected
    shown = ", ".join(name[:40] for name in seen[:12]) or "no complete record in the first 64 KiB"
    raise LogFormatError(f"the records are neither native events nor OpenAI-shaped (fields: {shown}); {_ADVICE}")


def _records(text: bytes, shape: Shape) -> Iterator[dict[str, Any]]:
    """Yield the first complete objects of the head."""
    if shape == "lines":
        records = map(_object, text.split(b"\n")[:_SAMPLED_LINES])
        yield from (record for record in records if record is not None)
        return
    inner = text.decode("utf-8", "replace").removeprefix("[").lstrip()
    try:
        record, _ = json.JSONDecoder().raw_decode(inner)
    except (ValueError, RecursionError):
        return
    if isinstance(record, dict):
        yield record


def _format_of(record: dict[str, Any]) -> Format | None:
    event = record.get("type")
    if isinstance(event, str) and event.startswith(_STREAM_EVENTS):
        return "openai"
    usage = record.get("usage")
    usage_keys = usage.keys() if isinstance(usage, dict) else set()
    if _OPENAI_KEYS & record.keys() or _OPENAI_USAGE_KEYS & usage_keys:
        return "openai"
    if "time" in record and "model" in record:
        return "native"
    if usage_keys and usage_keys <= {*PROMPT_NAMES, *COMPLETION_NAMES, "total_tokens"} and "created" in record:
        return "openai"
    return "native" if usage_keys and usage_keys <= set(ALL_KINDS) and "time" in record else None


def _format_of_keys(keys: set[str]) -> Format | None:
    """Return the format of a record that is longer than the head, from all keys that the head contains."""
    if keys & (_OPENAI_KEYS | _OPENAI_USAGE_KEYS | {"messages"}):
        return "openai"
    return "native" if {"time", "model"} <= keys else None


def _csv_format(text: bytes) -> DetectedFormat:
    first = text.split(b"\n", 1)[0].rstrip(b"\r")
    try:
        _, header = read_header(first, {})
    except LogFormatError:
        header = []
    if len(header) > 1 and set(header) & set(MAPPABLE_FIELDS):
        column_positions(header, {})
        return DetectedFormat("csv", "lines")
    if len(header) > 1:
        shown = ", ".join(name[:40] for name in header[:12])
        raise LogFormatError(
            f"this may be CSV, but no column has the name of an event field (columns: {shown}); map the columns with"
            " --map time=COLUMN,input_tokens=COLUMN,output_tokens=COLUMN"
        )
    raise LogFormatError(f"the input is neither JSON nor CSV; {_ADVICE}")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
