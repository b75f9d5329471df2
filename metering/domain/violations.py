"""A violation: an invariant that does not hold, with where, the expected value and the stored one."""

from msgspec import Struct


class Violation(Struct, frozen=True):
    """One violated invariant.

    ``code`` is stable and names the invariant. ``where`` names the row or the key. ``expected`` is the value that follows from
    the facts and ``got`` the stored one, as text.
    """

    code: str
    where: str
    expected: str
    got: str
    message: str
