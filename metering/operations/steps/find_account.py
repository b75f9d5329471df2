"""Finding an account by its current name."""

from sqlalchemy import Connection

from metering.domain.errors import NotFoundError
from metering.storage.accounts.accounts import AccountRow, account_named


def find_account(connection: Connection, name: str) -> AccountRow:
    """Return the account that has the name now. Raises NotFoundError."""
    account = account_named(connection, name)
    if account is None:
        raise NotFoundError(f"there is no account {name[:80]!r}")
    return account
