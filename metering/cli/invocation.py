"""What composition hands to every command."""

from collections.abc import Callable, Mapping

from msgspec import Struct


class Invocation(Struct, frozen=True):
    """The environment as it was read once, and the clock: microseconds since 1970, UTC."""

    environment: Mapping[str, str]
    clock: Callable[[], int]
