"""Add, list and remove model names of one's own; charge the usage that waited for one.

A name never changes an existing charge: re-rating does. Removing one keeps its row, so that what it led to can be explained.
"""

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from metering.domain.errors import AlreadyExistsError, NotFoundError
from metering.domain.prices.model_aliases import AliasChange, ModelAlias
from metering.domain.usage.model_names import provider_name
from metering.operations.charges.rate_unpriced import rate_unpriced
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.model_aliases import insert_alias, load_aliases, mark_removed
from metering.storage.prices.price_tables import load_tables
from pricing.bundled import bundled_aliases
from pricing.names import ListedNames
from pricing.own_names import OwnName


def add_alias(engine: Engine, wanted: OwnName, *, rate: bool, now: int) -> AliasChange:
    """Add a name; with ``rate``, charge usage that was unpriced. Adding the same one again changes nothing.

    Raises AlreadyExistsError if the name means another model at some time of the period.
    """
    own = replace(wanted, provider=provider_name(wanted.provider))
    with exclusive_write(engine) as connection:
        known = _same(connection, own)
        alias = known or ModelAlias(replace(own, id=insert_alias(connection, own, now=now)), now)
        has_price = _is_listed(connection, own)
    if not rate:
        return AliasChange(alias, known is None, has_price)
    rated = rate_unpriced(engine, now=now)
    return AliasChange(alias, known is None, has_price, rated.rated, rated.amount_nano)


def list_aliases(engine: Engine, *, with_removed: bool = False) -> list[ModelAlias]:
    """Return the aliases in the order they were added."""
    with read_snapshot(engine) as connection:
        return [alias for alias in load_aliases(connection) if with_removed or alias.removed_at is None]


def remove_alias(engine: Engine, alias_id: int, *, now: int) -> AliasChange:
    """Remove an alias; one that was removed before stays as it is. Raises NotFoundError."""
    with exclusive_write(engine) as connection:
        alias = next((each for each in load_aliases(connection) if each.own_name.id == alias_id), None)
        if alias is None:
            raise NotFoundError(f"no alias {alias_id}; `metering prices alias list --all` shows all aliases")
        if alias.removed_at is not None:
            return AliasChange(alias, is_new=False)
        mark_removed(connection, alias_id, now=now)
        return AliasChange(replace(alias, removed_at=now), is_new=True)


def _same(connection: Connection, own: OwnName) -> ModelAlias | None:
    for alias in load_aliases(connection):
        known = alias.own_name
        if alias.removed_at is not None or not known.overlaps(own):
            continue
        if (known.model, known.valid_from, known.valid_until) == (own.model, own.valid_from, own.valid_until):
            return alias
        raise AlreadyExistsError(
            f"alias {known.id} says that {known.name!r} at {known.provider} is {known.model!r} for some of that time; remove it"
            f" with `metering prices alias remove {known.id}`, or choose a period that does not overlap"
        )
    return None


def _is_listed(connection: Connection, own: OwnName) -> bool:
    names = ListedNames()
    for table in load_tables(connection):
        for rate in table.rates:
            names.add(rate.provider, rate.model)
    return names.resolve(own.provider, own.model, bundled_aliases()).model is not None
