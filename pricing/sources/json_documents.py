"""JSON with exact numbers: a decimal fraction stays the decimal that was written.

What JSON readers usually accept is refused: NaN and Infinity, duplicate keys (readers silently keep the last), a web page
instead of the document.
"""

import json
from decimal import Decimal
from typing import Any

from pricing.errors import InvalidPriceError, PriceFault

# A hundred thousand models with four providers each need about 80 MB.
MAX_BYTES = 128 * 1024 * 1024


def read_json_object(content: str | bytes, name: str) -> dict[str, Any]:
    """Return a JSON object with Decimal instead of float. Raises InvalidPriceError with a message that begins with ``name``."""
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content.removeprefix("\ufeff")
        size = len(content) if isinstance(content, bytes) else len(content.encode())
    except UnicodeError:
        raise _unreadable(name, "not UTF-8 text") from None
    if size > MAX_BYTES:
        raise _unreadable(name, f"{size} bytes exceed the limit of {MAX_BYTES}")
    beginning = text[:1_000].lstrip()
    if not beginning:
        raise _unreadable(name, "the document is empty")
    if beginning.startswith("<"):
        raise _unreadable(name, "looks like HTML, not JSON; is the address right?")
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise _unreadable(name, f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _unreadable(name, "nested too deeply") from None
    except ValueError as error:
        raise _unreadable(name, str(error)) from None
    if not isinstance(document, dict):
        raise _unreadable(name, f"must be a JSON object, got {_kind_of(document)}")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:60]!r} occurs twice")
            seen.add(key)
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _unreadable(name: str, problem: str) -> InvalidPriceError:
    return InvalidPriceError(f"{name}: {problem}", PriceFault.UNREADABLE)


def _kind_of(document: object) -> str:
    kinds = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(document), "a number")
