"""An account: who is billed, under its current name, and the plans it has been on."""

from collections.abc import Sequence
from typing import NamedTuple

from metering.domain.accounts.plan_history import PlanChange

# The account that holds usage of accounts nobody has declared.
UNASSIGNED_ID = 1
UNASSIGNED_NAME = "unassigned"


class Account(NamedTuple):
    """An account under its current name; ``created_at`` is 0 for ``unassigned``, which nobody declared."""

    id: int
    name: str
    default_route: str
    created_at: int


class AccountPlans(NamedTuple):
    """An account with every plan change recorded for it, oldest first."""

    account: Account
    changes: Sequence[PlanChange]
