"""An account: who is billed, under its current name, and the plans it has been on."""

from collections.abc import Sequence
from typing import NamedTuple

from metering.domain.accounts.plan_history import PlanChange
from metering.domain.errors import NotFoundError

# The account that holds usage of undeclared accounts.
UNASSIGNED_ID = 1
UNASSIGNED_NAME = "unassigned"


class Account(NamedTuple):
    """An account under its current name; ``created_at`` is 0 for ``unassigned``, which always exists."""

    id: int
    name: str
    default_route: str
    created_at: int


class AccountPlans(NamedTuple):
    """An account with every plan change recorded for it, oldest first."""

    account: Account
    changes: Sequence[PlanChange]


class AccountNotFoundError(NotFoundError):
    """No account has the name. A bound key gets the same error for the account of another."""

    def __init__(self, name: str, hint: str = ";") -> None:
        super().__init__(f"there is no account {name[:80]!r}{hint} `metering accounts list` shows all")
        self.name = name
