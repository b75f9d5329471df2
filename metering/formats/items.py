"""Split a JSON array into the raw bytes of its items, so that a bad item does not affect the others."""

import json

import msgspec

from metering.domain.errors import LogFormatError

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode
_scan = json.JSONDecoder().raw_decode


def split_items(data: bytes) -> list[bytes]:
    """Return the raw bytes of each item of a JSON array.

    Raises LogFormatError (``not_json``) if ``data`` is not an array, or its end cannot be found.
    """
    try:
        return [bytes(item) for item in _decode(data)]
    except msgspec.ValidationError:
        raise _not_an_array("it is not a JSON array") from None
    except RecursionError:
        raise _not_an_array("it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _scan_items(data, str(error))


def _scan_items(data: bytes, reason: str) -> list[bytes]:
    """Split an array that contains NaN, Infinity or a lone surrogate, which Python writes and msgspec does not read."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        items: list[bytes] = []
        position = _after_space(text, 0)
        if text[position] != "[":
            raise _not_an_array("it is not a JSON array")
        position = _after_space(text, position + 1)
        while not (text[position] == "]" and not items):
            start = position
            _, position = _scan(text, start)
            items.append(text[start:position].encode("utf-8", "surrogateescape"))
            position = _after_space(text, position)
            if text[position] == "]":
                break
            if text[position] != ",":
                raise _not_an_array("a comma is missing between two items")
            position = _after_space(text, position + 1)
    except (ValueError, IndexError, RecursionError) as error:
        raise error if isinstance(error, LogFormatError) else _not_an_array(reason) from None
    if text[position + 1 :].strip():
        raise _not_an_array("there is content after the closing bracket")
    return items


def _after_space(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def _not_an_array(reason: str) -> LogFormatError:
    return LogFormatError(
        f"the input cannot be split into records: {reason}; send one JSON array, or one record per line", "not_json"
    )
