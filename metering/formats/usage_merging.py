"""Merge what the chunks of a stream state about usage. Counters never fall: the largest statement of each counts.

A closing chunk of zeros takes nothing away, and running totals on every chunk end with the last one. The result does not depend
on the order of the chunks.
"""

from decimal import Decimal
from typing import Any

_NOTHING, _OTHER, _FLAG, _TEXT, _NUMBER, _BROKEN, _OBJECT = range(7)


def merge_usage(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return both statements of usage as one, with the larger value of each counter, also of those inside ``*_details``."""
    merged = dict(first)
    for name, value in second.items():
        merged[name] = _larger(merged[name], value) if name in merged else value
    return merged


def _larger(first: Any, second: Any) -> Any:
    kind, other = _kind(first), _kind(second)
    if kind != other:
        return first if kind > other else second
    if kind == _OBJECT:
        return merge_usage(first, second)
    return max(first, second) if kind in (_NUMBER, _TEXT) else max(first, second, key=repr)


def _kind(value: object) -> int:
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return _FLAG
    if isinstance(value, int | Decimal):
        # A number that is none is kept, so that the event is rejected for it as it would be without a stream.
        return _BROKEN if isinstance(value, Decimal) and not value.is_finite() else _NUMBER
    if isinstance(value, str):
        return _TEXT
    return _OBJECT if isinstance(value, dict) else _OTHER
