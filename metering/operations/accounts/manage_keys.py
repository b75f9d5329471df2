"""Create, list, check and revoke API keys.

With an ``account_id``, only keys that are bound to that account are listed or revoked, as a bound key requires.
"""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.accounts.api_keys import ApiKey, checked_scopes, hash_of, matches, new_token, prefix_of
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.texts import control_character
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.steps.find_account import find_account
from metering.storage.accounts import api_keys
from metering.storage.engine.database import exclusive_write, read_snapshot


class NewKey(Struct, frozen=True):
    """A key to create; ``account`` None: all accounts."""

    name: str
    scopes: list[str]
    account: str | None = None
    creates_accounts: bool = False


def create_key(engine: Engine, new: NewKey, *, now: int) -> tuple[ApiKey, str]:
    """Create a key; return it with its token, which is shown only once.

    Raises NotFoundError for the account, and DomainError for an invalid name or scope, or for a key that is bound to one
    account and would create others.
    """
    if not new.name or len(new.name) > MAX_NAME_LENGTH or control_character(new.name):
        raise DomainError(f"a key's name must have 1 to {MAX_NAME_LENGTH} characters, without control characters")
    if new.account is not None and new.creates_accounts:
        raise DomainError("a key that is bound to one account cannot create others; omit the account or creates_accounts")
    scopes = checked_scopes(new.scopes)
    prefix, token = new_token()
    with exclusive_write(engine) as connection:
        account_id = None if new.account is None else find_account(connection, new.account).id
        key = ApiKey(0, prefix, new.name, account_id, scopes, new.creates_accounts, now, None)
        api_keys.insert_key(connection, key, hash_of(token))
    return key, token


def list_keys(engine: Engine, *, account_id: int | None = None, after: int = 0, limit: int | None = None) -> list[ApiKey]:
    """Return keys with IDs above ``after``, including revoked ones, oldest first."""
    with read_snapshot(engine) as connection:
        return api_keys.list_keys(connection, account_id=account_id, after=after, limit=limit)


def revoke_key(engine: Engine, prefix: str, *, account_id: int | None = None, now: int) -> ApiKey:
    """Revoke a key from now on and return it. Raises NotFoundError for a prefix without a valid key."""
    with exclusive_write(engine) as connection:
        revoked = api_keys.set_revoked(connection, prefix, account_id=account_id, now=now)
        stored = api_keys.key_with_prefix(connection, prefix)
    if not revoked or stored is None:
        raise NotFoundError(f"no valid key has the prefix {prefix[:40]!r}; `metering keys list` shows all")
    return stored[0]


def check_token(engine: Engine, token: str) -> ApiKey | None:
    """Return the key of a token; None if it does not exist or was revoked."""
    prefix = prefix_of(token)
    if prefix is None:
        return None
    with read_snapshot(engine) as connection:
        stored = api_keys.key_with_prefix(connection, prefix)
    if stored is None:
        return None
    key, secret_hash = stored
    return key if matches(token, secret_hash) and key.revoked_at is None else None
