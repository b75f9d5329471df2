"""Series: the rows that events, rollups and charges point at."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, select

from metering.domain.usage.series import SeriesKey
from metering.storage.engine.bulk import insert_if_new, insert_new
from metering.storage.tables import series, sources

_KEY_COLUMNS = [series.c[name] for name in SeriesKey._fields]
_INSERT_SERIES = insert_new(series)
_IDS_A_STATEMENT = 500


def series_of_account(connection: Connection, account_id: int, *, after: int = 0) -> dict[SeriesKey, int]:
    """Return the series of an account with their ids, all or those with larger ids; the cap bounds their number."""
    statement = select(series.c.id, *_KEY_COLUMNS).where(series.c.account_id == account_id, series.c.id > after)
    return {SeriesKey(*key): series_id for series_id, *key in connection.execute(statement)}


def series_by_id(connection: Connection, series_ids: Collection[int]) -> dict[int, SeriesKey]:
    """Return what the series with these ids stand for."""
    statement = select(series.c.id, *_KEY_COLUMNS).where(series.c.id.in_(series_ids))
    return {series_id: SeriesKey(*key) for series_id, *key in connection.execute(statement)}


def accounts_of_series(connection: Connection, series_ids: Collection[int]) -> dict[int, int]:
    """Return whose the series with these ids are."""
    wanted = sorted(series_ids)
    found: dict[int, int] = {}
    for start in range(0, len(wanted), _IDS_A_STATEMENT):
        part = wanted[start : start + _IDS_A_STATEMENT]
        rows = connection.execute(select(series.c.id, series.c.account_id).where(series.c.id.in_(part)))
        found.update((row.id, row.account_id) for row in rows)
    return found


def names_in_series(connection: Connection, dimension: str) -> set[str]:
    """Return every value of a dimension of the series."""
    return set(connection.execute(select(series.c[dimension]).distinct()).scalars())


def insert_series(connection: Connection, keys: Iterable[SeriesKey]) -> None:
    """Create the series that do not exist yet, in this order."""
    _INSERT_SERIES.run(connection, [(None, *key) for key in keys])


def source_ids(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the ids of the sources that exist among ``names``."""
    statement = select(sources.c.name, sources.c.id).where(sources.c.name.in_(names))
    return {row.name: row.id for row in connection.execute(statement)}


def all_sources(connection: Connection) -> list[str]:
    """Return the name of every source that events came from."""
    return list(connection.execute(select(sources.c.name).order_by(sources.c.name)).scalars())


def insert_sources(connection: Connection, names: Collection[str]) -> None:
    """Create the sources that do not exist yet."""
    for name in sorted(names):
        insert_if_new(connection, sources, {"name": name})
