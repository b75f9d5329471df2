"""Create, list, check and revoke API keys."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.accounts.api_keys import ApiKey, checked_scopes, hash_of, matches, new_token, prefix_of
from metering.domain.errors import NotFoundError
from metering.operations.steps.find_account import find_account
from metering.storage.accounts.api_keys import all_keys, insert_key, key_with_prefix, set_revoked
from metering.storage.engine.database import exclusive_write, read_snapshot


class NewKey(Struct, frozen=True):
    """What a new key may do; ``account`` None: all accounts."""

    name: str
    scopes: list[str]
    account: str | None = None
    creates_accounts: bool = False


def create_key(engine: Engine, wanted: NewKey, *, now: int) -> tuple[ApiKey, str]:
    """Create a key; return it with its token, which is shown this once. Raises NotFoundError for the account."""
    scopes = checked_scopes(wanted.scopes)
    prefix, token = new_token()
    with exclusive_write(engine) as connection:
        account_id = None if wanted.account is None else find_account(connection, wanted.account).id
        key = ApiKey(0, prefix, wanted.name, account_id, scopes, wanted.creates_accounts, now, None)
        insert_key(connection, key, hash_of(token))
    return key, token


def list_keys(engine: Engine) -> list[ApiKey]:
    """Return all keys, revoked ones too, oldest first."""
    with read_snapshot(engine) as connection:
        return all_keys(connection)


def revoke_key(engine: Engine, prefix: str, *, now: int) -> None:
    """Revoke a key from now on. Raises NotFoundError for a prefix without a valid key."""
    with exclusive_write(engine) as connection:
        if not set_revoked(connection, prefix, now=now):
            raise NotFoundError(f"there is no valid key with the prefix {prefix[:40]!r}")


def check_token(engine: Engine, token: str) -> ApiKey | None:
    """Return the key that a token is, None when there is none or it was revoked."""
    prefix = prefix_of(token)
    if prefix is None:
        return None
    with read_snapshot(engine) as connection:
        found = key_with_prefix(connection, prefix)
    if found is None:
        return None
    key, stored = found
    return key if matches(token, stored) and key.revoked_at is None else None
