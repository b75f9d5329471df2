"""A command and the route that gives the same answer."""

from typing import Any, NamedTuple


class Pair(NamedTuple):
    """``command`` as it is typed after ``metering``, without ``--json``; ``call`` is the method and the path with its query.

    ``fresh`` names fields that differ with each call (a token), at any depth.
    """

    command: str
    operation: str
    call: str
    body: dict[str, Any] | int | None = None
    fresh: tuple[str, ...] = ()
