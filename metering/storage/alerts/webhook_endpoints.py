"""Webhook endpoints and their secrets."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, delete, func, insert, or_, select, update

from metering.domain.alerts.webhooks import Endpoint, EndpointFilter
from metering.storage.tables import webhook_endpoint_accounts, webhook_endpoints, webhook_secrets

_EXISTING = webhook_endpoints.c.deleted_at.is_(None)


class SecretRow(NamedTuple):
    """An encrypted secret; ``expires_at`` is None for the current one."""

    id: int
    secret: str
    created_at: int
    expires_at: int | None


def insert_endpoint(connection: Connection, values: Mapping[str, Any], filter_: EndpointFilter) -> int:
    """Insert an endpoint; return its id."""
    statement = insert(webhook_endpoints).values(**values, account_id=filter_.account_id, types=_types_text(filter_.types))
    endpoint_id: int = connection.execute(statement.returning(webhook_endpoints.c.id)).scalar_one()
    _insert_accounts(connection, endpoint_id, filter_.accounts)
    return endpoint_id


def endpoint_with_id(connection: Connection, endpoint_id: int) -> Endpoint | None:
    """Return an endpoint; None if it does not exist or was deleted."""
    statement = select(webhook_endpoints).where(_EXISTING, webhook_endpoints.c.id == endpoint_id)
    return next(iter(_endpoints(connection, statement)), None)


def lock_endpoint(connection: Connection, endpoint_id: int) -> Endpoint | None:
    """Return an endpoint like ``endpoint_with_id`` and lock its row until the transaction ends.

    Other transactions can still insert deliveries to it. Lock order: endpoints in the order of their ids, before deliveries.
    """
    statement = select(webhook_endpoints).where(_EXISTING, webhook_endpoints.c.id == endpoint_id)
    return next(iter(_endpoints(connection, statement.with_for_update(key_share=True))), None)


def list_endpoints(
    connection: Connection, *, account_id: int | None = None, after: int = 0, limit: int | None = None
) -> list[Endpoint]:
    """Return endpoints with ids above ``after``, oldest first; with ``account_id`` only that account's."""
    statement = select(webhook_endpoints).where(_EXISTING, webhook_endpoints.c.id > after).order_by(webhook_endpoints.c.id)
    if account_id is not None:
        statement = statement.where(webhook_endpoints.c.account_id == account_id)
    return _endpoints(connection, statement.limit(limit))


def count_endpoints(connection: Connection, account_id: int | None) -> int:
    """Return how many endpoints an account has; None: the operator."""
    statement = select(func.count()).where(_EXISTING, webhook_endpoints.c.account_id.is_not_distinct_from(account_id))
    return connection.execute(statement).scalar_one()


def endpoints_for(connection: Connection, account_id: int | None) -> list[Endpoint]:
    """Return the endpoints that may receive an alert about an account: its own and the operator's, ordered by id."""
    owner = webhook_endpoints.c.account_id
    candidates = owner.is_(None) if account_id is None else or_(owner.is_(None), owner == account_id)
    return _endpoints(connection, select(webhook_endpoints).where(_EXISTING, candidates).order_by(webhook_endpoints.c.id))


def update_endpoint(connection: Connection, endpoint_id: int, values: Mapping[str, Any]) -> None:
    """Update columns of an endpoint."""
    connection.execute(update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).values(**values))


def set_filter(connection: Connection, endpoint_id: int, filter_: EndpointFilter) -> None:
    """Change which alerts an endpoint receives from now on."""
    update_endpoint(connection, endpoint_id, {"types": _types_text(filter_.types)})
    connection.execute(delete(webhook_endpoint_accounts).where(webhook_endpoint_accounts.c.endpoint_id == endpoint_id))
    _insert_accounts(connection, endpoint_id, filter_.accounts)


def insert_secret(connection: Connection, endpoint_id: int, secret: str, *, now: int) -> None:
    """Insert an encrypted secret; it becomes the current one."""
    connection.execute(insert(webhook_secrets).values(endpoint_id=endpoint_id, secret=secret, created_at=now))


def end_secrets(connection: Connection, endpoint_id: int, *, at: int) -> None:
    """Make all secrets of an endpoint expire at an instant; one that expires earlier keeps its time."""
    later = or_(webhook_secrets.c.expires_at.is_(None), webhook_secrets.c.expires_at > at)
    connection.execute(update(webhook_secrets).where(webhook_secrets.c.endpoint_id == endpoint_id, later).values(expires_at=at))


def delete_secrets(connection: Connection, endpoint_id: int, *, expired_at: int | None = None) -> None:
    """Delete an endpoint's secrets that have expired at an instant; without one, all of them."""
    statement = delete(webhook_secrets).where(webhook_secrets.c.endpoint_id == endpoint_id)
    if expired_at is not None:
        statement = statement.where(webhook_secrets.c.expires_at <= expired_at)
    connection.execute(statement)


def valid_secrets(connection: Connection, endpoint_ids: Collection[int], *, now: int) -> dict[int, list[SecretRow]]:
    """Return the secrets that are valid at an instant, by endpoint, newest first."""
    table = webhook_secrets.c
    statement = (
        select(table.endpoint_id, table.id, table.secret, table.created_at, table.expires_at)
        .where(table.endpoint_id.in_(sorted(endpoint_ids)), or_(table.expires_at.is_(None), table.expires_at > now))
        .order_by(table.id.desc())
    )
    by_endpoint: dict[int, list[SecretRow]] = {}
    for endpoint_id, *secret in connection.execute(statement):
        by_endpoint.setdefault(endpoint_id, []).append(SecretRow(*secret))
    return by_endpoint


def _endpoints(connection: Connection, statement: Select[Any]) -> list[Endpoint]:
    rows = connection.execute(statement).all()
    accounts: dict[int, set[int]] = {}
    of_these = webhook_endpoint_accounts.c.endpoint_id.in_([row.id for row in rows])
    for endpoint_id, account_id in connection.execute(select(webhook_endpoint_accounts).where(of_these)) if rows else ():
        accounts.setdefault(endpoint_id, set()).add(account_id)
    return [_endpoint(row, accounts.get(row.id, ())) for row in rows]


def _endpoint(row: Row[Any], accounts: Iterable[int]) -> Endpoint:
    return Endpoint(
        row.id,
        EndpointFilter(row.account_id, frozenset(row.types.split()), frozenset(accounts)),
        row.shown_url,
        row.description,
        row.format,
        row.created_at,
        row.failing_since,
        row.disabled_at,
        row.disabled_reason,
    )


def _insert_accounts(connection: Connection, endpoint_id: int, accounts: Iterable[int]) -> None:
    rows = [{"endpoint_id": endpoint_id, "account_id": account_id} for account_id in sorted(accounts)]
    if rows:
        connection.execute(insert(webhook_endpoint_accounts), rows)


def _types_text(types: Iterable[str]) -> str:
    return " ".join(sorted(types))
