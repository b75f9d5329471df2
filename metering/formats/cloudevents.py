"""CloudEvents 1.0 in structured mode: an envelope whose ``data`` is a native event.

The envelope's ``id``, ``source``, ``time`` and ``subject`` (the account) apply where the data does not state them. Source of
the rules: the CloudEvents specification 1.0.2 and its JSON event format.
"""

from typing import Any

import msgspec

from metering.domain.errors import RecordError

# Values stay raw bytes, so that nothing is rounded or rewritten.
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_REQUIRED = ("id", "source", "type")
_FILLS = (("id", "id"), ("source", "source"), ("time", "time"), ("subject", "account"))
_EMPTY = (b"null", b'""')


def native_from_cloudevent(raw: bytes) -> bytes:
    """Return the native record inside a CloudEvent.

    Raises RecordError: not_json, not_an_object, not_a_cloudevent (unsupported specversion, missing attribute), missing_id,
    wrong_type (the data is not a JSON object).
    """
    envelope = _object(raw, "a CloudEvent", None)
    if _text(envelope, "specversion") != "1.0":
        raise RecordError("not_a_cloudevent", 'specversion must be "1.0"', "specversion")
    for name in _REQUIRED:
        if not _text(envelope, name):
            code = "missing_id" if name == "id" else "not_a_cloudevent"
            raise RecordError(code, f"a CloudEvent needs {name}, a non-empty string", name)
    if "data" not in envelope:
        hint = "; data_base64 is not supported" if "data_base64" in envelope else ""
        raise RecordError("wrong_type", f"data must be the native event, a JSON object{hint}", "data")
    record = _object(bytes(envelope["data"]), "data", "data")
    for attribute, field in _FILLS:
        if bytes(record.get(field, _NULL)) in _EMPTY and attribute in envelope:
            record[field] = envelope[attribute]
    return msgspec.json.encode(record)


_NULL = msgspec.Raw(b"null")


def _object(raw: bytes, what: str, field: str | None) -> dict[str, Any]:
    try:
        return _decode(raw)
    except msgspec.ValidationError:
        code = "wrong_type" if field else "not_an_object"
        raise RecordError(code, f"{what} must be a JSON object", field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RecordError("not_json", "the event is not valid JSON", field) from None


def _text(envelope: dict[str, Any], name: str) -> str:
    if name not in envelope:
        return ""
    try:
        return msgspec.json.decode(bytes(envelope[name]), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
