"""What is left of an account's credits at an instant."""

from typing import NamedTuple

from msgspec import Struct

from metering.domain.credits.credits import CreditGrant


class GrantBalance(NamedTuple):
    """A grant and what is left of it, in nano-USD."""

    grant: CreditGrant
    left_nano: int


class CreditBalance(Struct, frozen=True):
    """The credits an account could use at an instant (microseconds UTC), by grant in burn order.

    ``is_upper_bound``: some of them can also be spent where this service does not see it, so less may be left.
    """

    account: str
    instant: int
    grants: list[GrantBalance]
    is_upper_bound: bool

    @property
    def left_nano(self) -> int:
        """The sum over all grants."""
        return sum(each.left_nano for each in self.grants)
