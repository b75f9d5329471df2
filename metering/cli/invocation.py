"""What composition hands to every command."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Invocation(NamedTuple):
    """The environment, read once, and the clock: microseconds since 1970, UTC.

    A tuple, because ``metering --help`` imports this module, and msgspec would take half of its time.
    """

    environment: Mapping[str, str]
    clock: Callable[[], int]
