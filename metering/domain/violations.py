"""A violation: an invariant that does not hold, with where it breaks and what should stand there."""

from msgspec import Struct


class Violation(Struct, frozen=True):
    """One broken invariant.

    ``code`` is stable and names the invariant. ``where`` names the row or the key; ``expected`` and ``got`` are what the
    facts say and what is stored, as text.
    """

    code: str
    where: str
    expected: str
    got: str
    message: str
