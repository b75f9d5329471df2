"""Narrowing for tests: a value of a wide type that the test knows more about."""

from typing import TypeVar

T = TypeVar("T")


def present(value: T | None) -> T:
    """Return the value, which must not be None."""
    assert value is not None
    return value


def instance(kind: type[T], value: object) -> T:
    """Return the value, which must be of this type."""
    assert isinstance(value, kind), value
    return value
