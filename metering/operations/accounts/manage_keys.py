"""Create, list, check and revoke API keys.

An ``account_id`` limits what is listed or revoked to keys bound to that account: what a bound key may manage.
"""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.accounts.api_keys import ApiKey, checked_scopes, hash_of, matches, new_token, prefix_of
from metering.domain.errors import DomainError, NotFoundError
from metering.operations.steps.find_account import find_account
from metering.storage.accounts import api_keys
from metering.storage.engine.database import exclusive_write, read_snapshot


class NewKey(Struct, frozen=True):
    """What a new key may do; ``account`` None: all accounts."""

    name: str
    scopes: list[str]
    account: str | None = None
    creates_accounts: bool = False


def create_key(engine: Engine, wanted: NewKey, *, now: int) -> tuple[ApiKey, str]:
    """Create a key; return it with its token, which is shown only once.

    Raises NotFoundError for the account, DomainError for a key that is bound to one account and would create others.
    """
    if wanted.account is not None and wanted.creates_accounts:
        raise DomainError("a key bound to one account cannot create others; leave out the account or creates_accounts")
    scopes = checked_scopes(wanted.scopes)
    prefix, token = new_token()
    with exclusive_write(engine) as connection:
        account_id = None if wanted.account is None else find_account(connection, wanted.account).id
        key = ApiKey(0, prefix, wanted.name, account_id, scopes, wanted.creates_accounts, now, None)
        api_keys.insert_key(connection, key, hash_of(token))
    return key, token


def list_keys(engine: Engine, *, account_id: int | None = None, after: int = 0, limit: int | None = None) -> list[ApiKey]:
    """Return keys with ids above ``after``, including revoked ones, oldest first."""
    with read_snapshot(engine) as connection:
        return api_keys.list_keys(connection, account_id=account_id, after=after, limit=limit)


def revoke_key(engine: Engine, prefix: str, *, account_id: int | None = None, now: int) -> ApiKey:
    """Revoke a key from now on and return it. Raises NotFoundError for a prefix without a valid key."""
    with exclusive_write(engine) as connection:
        revoked = api_keys.set_revoked(connection, prefix, account_id=account_id, now=now)
        found = api_keys.key_with_prefix(connection, prefix)
    if not revoked or found is None:
        raise NotFoundError(f"no valid key has the prefix {prefix[:40]!r}; `metering keys list` shows all")
    return found[0]


def check_token(engine: Engine, token: str) -> ApiKey | None:
    """Return the valid key that a token belongs to; None if there is none or it was revoked."""
    prefix = prefix_of(token)
    if prefix is None:
        return None
    with read_snapshot(engine) as connection:
        found = api_keys.key_with_prefix(connection, prefix)
    if found is None:
        return None
    key, stored = found
    return key if matches(token, stored) and key.revoked_at is None else None
