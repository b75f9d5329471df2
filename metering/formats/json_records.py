"""Decode one JSON object into a dict, with precise errors.

Numbers with a fraction are read as Decimal, because a gateway's cost must not pass through a float. ``NaN``, ``Infinity`` and
lone surrogates, which Python writes and msgspec does not read, are accepted here. A record is only rejected for them if a field
that is kept contains one, and the error names that field.
"""

import json
from decimal import Decimal
from typing import Any

import msgspec

from metering.domain.errors import RecordError

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_TRUNCATED = "Input data was truncated"


def json_object(raw: bytes) -> dict[str, Any]:
    """Decode one record. Raises RecordError: nul_byte, invalid_utf8, truncated_line, not_json, not_an_object."""
    record = _decoded(raw)
    if not isinstance(record, dict):
        raise RecordError("not_an_object", f"a record must be a JSON object, this is {json_type(record)}")
    return record


def nested_json(text: str | bytes) -> Any:
    """Decode JSON that a record contains as text; None if it is not JSON."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def json_type(value: object) -> str:
    """Return the JSON type of a decoded value, with an article; never the value itself."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | Decimal):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def _decoded(raw: bytes) -> Any:
    try:
        return _decode(raw)
    except RecursionError:
        raise RecordError("not_json", "the record is nested too deeply") from None
    except UnicodeDecodeError:
        raise RecordError("invalid_utf8", "the record is not valid UTF-8; convert the log to UTF-8") from None
    except msgspec.DecodeError as error:
        if b"\0" in raw:
            raise RecordError("nul_byte", "the record contains NUL bytes; the file may be damaged or UTF-16") from None
        if b"NaN" in raw or b"Infinity" in raw or b"\\u" in raw:
            return _python_json(raw, str(error) == _TRUNCATED)
        if str(error) == _TRUNCATED:
            raise _truncated() from None
        raise RecordError("not_json", f"the record is not valid JSON: {_reason(error)}") from None


def _python_json(raw: bytes, truncated: bool) -> Any:
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError):
        if truncated:
            raise _truncated() from None
        raise RecordError("not_json", "the record is not valid JSON") from None


def _truncated() -> RecordError:
    return RecordError("truncated_line", "the input ends in the middle of this record; ingest it again once it is complete")


def _reason(error: msgspec.DecodeError) -> str:
    """Return msgspec's message for malformed JSON: a fixed phrase and a byte position, no content."""
    return str(error).removeprefix("JSON is malformed: ")
