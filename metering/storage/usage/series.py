"""Series, which events, rollups and charges refer to, and sources."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, select

from metering.domain.usage.series import SeriesKey
from metering.storage.engine.bulk import insert_if_new, insert_new
from metering.storage.tables import series, sources

_KEY_COLUMNS = [series.c[name] for name in SeriesKey._fields]
_INSERT_SERIES = insert_new(series)
_IDS_PER_QUERY = 500


def series_of_account(connection: Connection, account_id: int, *, after: int = 0) -> dict[SeriesKey, int]:
    """Return the IDs of an account's series above ``after``; the cap bounds their number."""
    statement = select(series.c.id, *_KEY_COLUMNS).where(series.c.account_id == account_id, series.c.id > after)
    return {SeriesKey(*key): series_id for series_id, *key in connection.execute(statement)}


def series_by_id(connection: Connection, series_ids: Collection[int]) -> dict[int, SeriesKey]:
    """Return the series with these IDs."""
    statement = select(series.c.id, *_KEY_COLUMNS).where(series.c.id.in_(series_ids))
    return {series_id: SeriesKey(*key) for series_id, *key in connection.execute(statement)}


def accounts_of_series(connection: Connection, series_ids: Collection[int]) -> dict[int, int]:
    """Return the account ID of each series, by series ID."""
    ids = sorted(series_ids)
    account_ids: dict[int, int] = {}
    for start in range(0, len(ids), _IDS_PER_QUERY):
        part = ids[start : start + _IDS_PER_QUERY]
        rows = connection.execute(select(series.c.id, series.c.account_id).where(series.c.id.in_(part)))
        account_ids.update((row.id, row.account_id) for row in rows)
    return account_ids


def names_in_series(connection: Connection, dimension: str) -> set[str]:
    """Return all distinct values of a dimension."""
    return set(connection.execute(select(series.c[dimension]).distinct()).scalars())


def insert_series(connection: Connection, keys: Iterable[SeriesKey]) -> None:
    """Create the series that do not exist, in this order."""
    _INSERT_SERIES.run(connection, [(None, *key) for key in keys])


def source_ids(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the IDs of existing sources, by name."""
    statement = select(sources.c.name, sources.c.id).where(sources.c.name.in_(names))
    return {row.name: row.id for row in connection.execute(statement)}


class SourceRow(NamedTuple):
    """A source. ``derived``: it is named after a file, and not part of the identity of its events.

    Up to the event ``by_response_id_through``, the ID of a response came before that of its record; 0 for new sources.
    """

    id: int
    name: str
    derived: bool
    by_response_id_through: int = 0


def source_named(connection: Connection, name: str) -> SourceRow:
    """Return the source with a name, which exists."""
    row = connection.execute(select(sources).where(sources.c.name == name)).one()
    return SourceRow(row.id, name, bool(row.derived), row.by_response_id_through)


def all_sources(connection: Connection) -> list[str]:
    """Return the names of all sources, sorted."""
    return list(connection.execute(select(sources.c.name).order_by(sources.c.name)).scalars())


def insert_sources(connection: Connection, names: Collection[str], *, derived: bool = False) -> None:
    """Create the sources that do not exist."""
    for name in sorted(names):
        insert_if_new(connection, sources, {"name": name, "derived": int(derived)})
