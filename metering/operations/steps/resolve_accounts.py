"""Resolve account names through dated aliases to one permanent account.

An undeclared account is ``unassigned``, unless the caller chooses to create it. Names are read again for every batch, because
another process may have declared or renamed an account since the last one.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.storage.accounts.accounts import NamePeriod, insert_account, name_periods


class BillingAccount(NamedTuple):
    """The account an event is billed to, and its billing route for records that do not state one."""

    account_id: int
    default_route: str


UNASSIGNED = BillingAccount(UNASSIGNED_ID, "")


class ResolvedNames:
    """The account names of one batch, resolved."""

    def __init__(self, periods: list[NamePeriod]) -> None:
        self._periods: dict[str, list[NamePeriod]] = {}
        for period in periods:
            self._periods.setdefault(period.name, []).append(period)

    def always(self, name: str) -> BillingAccount | None:
        """Return the account that the name means at any time; None if that depends on the time."""
        periods = self._periods.get(name)
        if not periods:
            return UNASSIGNED
        first = periods[0]
        return (
            BillingAccount(first.account_id, first.default_route) if (first.valid_from, first.valid_to) == (0, None) else None
        )

    def at(self, name: str, instant: int) -> BillingAccount:
        """Return the account that had the name at the instant, or unassigned."""
        for period in self._periods.get(name, ()):
            if period.valid_from <= instant and (period.valid_to is None or instant < period.valid_to):
                return BillingAccount(period.account_id, period.default_route)
        return UNASSIGNED

    def holders(self, name: str) -> set[int]:
        """Return the ids of all accounts that have or had the name."""
        return {period.account_id for period in self._periods.get(name, ())}


def resolve_names(connection: Connection, names: Collection[str]) -> ResolvedNames:
    """Look up account names."""
    return ResolvedNames(name_periods(connection, [name for name in names if name]))


def unknown_names(connection: Connection, names: Collection[str]) -> list[str]:
    """Return the names that no account has or ever had, sorted."""
    known = {period.name for period in name_periods(connection, names)}
    return sorted(set(names) - known - {""})


def create_missing_accounts(connection: Connection, names: Collection[str], *, now: int) -> list[str]:
    """Declare the names that no account has or ever had; return them. Needs a write transaction."""
    missing = unknown_names(connection, names)
    for name in missing:
        insert_account(connection, name, default_route="", now=now)
    return missing
