"""What composition hands to every command."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invocation:
    """The environment as it was read once, and the clock: microseconds since 1970, UTC."""

    environment: Mapping[str, str]
    clock: Callable[[], int]
