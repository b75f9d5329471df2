"""A violation: an invariant that is broken, with where, and the expected value."""

from msgspec import Struct


class Violation(Struct, frozen=True):
    """One broken invariant.

    ``code`` is a stable name of the invariant. ``where`` names the row or the key. ``expected`` is recomputed from the facts
    and ``got`` is what is stored, both as text.
    """

    code: str
    where: str
    expected: str
    got: str
    message: str
