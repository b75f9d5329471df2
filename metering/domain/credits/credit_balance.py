"""What is left of an account's credits at an instant."""

from typing import NamedTuple

from msgspec import Struct

from metering.domain.credits.credits import CreditGrant


class GrantBalance(NamedTuple):
    """What is left of a grant, in nano-USD."""

    grant: CreditGrant
    left_nano: int


class CreditBalance(Struct, frozen=True):
    """What credits an account could have used at an instant (microseconds UTC), in the order of burning.

    ``is_upper_bound``: some of it can be spent where this service does not see it.
    """

    account: str
    instant: int
    grants: list[GrantBalance]
    is_upper_bound: bool

    @property
    def left_nano(self) -> int:
        """All that was left."""
        return sum(each.left_nano for each in self.grants)
