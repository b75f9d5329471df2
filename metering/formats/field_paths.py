"""Find a field by its name, or by a path into objects such as ``usage.service_tier``."""

from typing import Any


def value_at(path: str, *records: dict[str, Any]) -> Any:
    """Return the single value that the first of the records has at a path; None if none has one there.

    A field whose own name contains dots comes before a path into an object. Objects and lists are not single values.
    """
    for record in records:
        value = record.get(path)
        if value is None and "." in path:
            value = _inside(record, path.split("."))
        if value is not None and not isinstance(value, dict | list):
            return value
    return None


def _inside(record: dict[str, Any], names: list[str]) -> Any:
    value: Any = record
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
