"""Find an account by its current name."""

from sqlalchemy import Connection

from metering.domain.accounts.accounts import Account, AccountNotFoundError
from metering.storage.accounts.accounts import account_named


def find_account(connection: Connection, name: str) -> Account:
    """Return the account with this current name. Raises NotFoundError."""
    account = account_named(connection, name)
    if account is None:
        raise AccountNotFoundError(name)
    return account
