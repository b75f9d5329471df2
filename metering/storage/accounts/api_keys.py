"""API keys, hashed."""

from collections.abc import Collection

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from metering.domain.accounts.api_keys import ApiKey
from metering.storage.tables import api_keys

# Built once, because every commit of events runs it.
_VALID_IDS = select(api_keys.c.id).where(api_keys.c.id.in_(bindparam("ids", expanding=True)), api_keys.c.revoked_at.is_(None))


def insert_key(connection: Connection, key: ApiKey, secret_hash: bytes) -> int:
    """Append a key; return its ID."""
    key_id: int = connection.execute(
        insert(api_keys)
        .values(
            prefix=key.prefix,
            secret_hash=secret_hash,
            name=key.name,
            account_id=key.account_id,
            scopes=" ".join(sorted(key.scopes)),
            creates_accounts=int(key.creates_accounts),
            created_at=key.created_at,
        )
        .returning(api_keys.c.id)
    ).scalar_one()
    return key_id


def key_with_prefix(connection: Connection, prefix: str) -> tuple[ApiKey, bytes] | None:
    """Return the key with this prefix and the hash of its secret; None if there is none."""
    row = connection.execute(select(api_keys).where(api_keys.c.prefix == prefix)).one_or_none()
    return None if row is None else (_key(row), row.secret_hash)


def valid_key_ids(connection: Connection, key_ids: Collection[int]) -> set[int]:
    """Return the IDs of the keys that have not been revoked."""
    return set(connection.execute(_VALID_IDS, {"ids": sorted(key_ids)}).scalars())


def list_keys(
    connection: Connection, *, account_id: int | None = None, after: int = 0, limit: int | None = None
) -> list[ApiKey]:
    """Return keys with IDs above ``after``, oldest first; with ``account_id``, only those bound to that account."""
    statement = select(api_keys).where(api_keys.c.id > after).order_by(api_keys.c.id).limit(limit)
    if account_id is not None:
        statement = statement.where(api_keys.c.account_id == account_id)
    return [_key(row) for row in connection.execute(statement)]


def set_revoked(connection: Connection, prefix: str, *, account_id: int | None = None, now: int) -> bool:
    """Revoke a key; with ``account_id``, only one bound to that account. Return False if no valid key matches."""
    statement = update(api_keys).where(api_keys.c.prefix == prefix, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
    if account_id is not None:
        statement = statement.where(api_keys.c.account_id == account_id)
    return connection.execute(statement).rowcount == 1


def _key(row: Row[tuple[int, str, bytes, str, int | None, str, int, int, int | None]]) -> ApiKey:
    return ApiKey(
        id=row.id,
        prefix=row.prefix,
        name=row.name,
        account_id=row.account_id,
        scopes=frozenset(row.scopes.split()),
        creates_accounts=bool(row.creates_accounts),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
