"""Model names of one's own. Rows are never deleted; one that is removed counts no more."""

from sqlalchemy import Connection, Row, insert, select, update

from metering.domain.prices.model_aliases import ModelAlias
from metering.storage.tables import model_aliases
from pricing.own_names import OwnName, OwnNames


def load_aliases(connection: Connection) -> list[ModelAlias]:
    """Return all aliases, removed ones included, in the order they were added."""
    return [_alias(row) for row in connection.execute(select(model_aliases).order_by(model_aliases.c.id))]


def own_names(connection: Connection, known_at: int | None = None) -> OwnNames:
    """Return the names that count now, or that counted at ``known_at`` (microseconds UTC)."""
    return OwnNames(alias.own_name for alias in load_aliases(connection) if alias.counts_at(known_at))


def insert_alias(connection: Connection, own: OwnName, *, now: int) -> int:
    """Add an alias; return its id."""
    alias_id: int = connection.execute(
        insert(model_aliases)
        .values(
            provider=own.provider,
            name=own.name,
            model=own.model,
            valid_from=own.valid_from,
            valid_until=own.valid_until,
            created_at=now,
        )
        .returning(model_aliases.c.id)
    ).scalar_one()
    return alias_id


def mark_removed(connection: Connection, alias_id: int, *, now: int) -> None:
    """Remove an alias: it counts no more from now on."""
    connection.execute(update(model_aliases).where(model_aliases.c.id == alias_id).values(removed_at=now))


def _alias(row: Row[tuple[object, ...]]) -> ModelAlias:
    return ModelAlias(
        own_name=OwnName(
            id=row.id,
            provider=row.provider,
            name=row.name,
            model=row.model,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
        ),
        created_at=row.created_at,
        removed_at=row.removed_at,
    )
