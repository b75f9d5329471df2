"""Finding an account by its current name."""

from sqlalchemy import Connection

from metering.domain.accounts.accounts import Account
from metering.domain.errors import NotFoundError
from metering.storage.accounts.accounts import account_named


def find_account(connection: Connection, name: str) -> Account:
    """Return the account that has the name now. Raises NotFoundError."""
    account = account_named(connection, name)
    if account is None:
        raise NotFoundError(f"there is no account {name[:80]!r}")
    return account
