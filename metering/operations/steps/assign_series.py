"""Which series an event belongs to. New series commit first, in a short transaction, before the batch that uses them.

An id enters the cache only after its commit. All series of an account are loaded when it is first seen, so that a miss means
new; the cap per account bounds the cache.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, Engine

from metering.domain.usage.series import SeriesKey, fold_series
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.usage.series import insert_series, insert_sources, series_of_account, source_ids


class SeriesIndex:
    """Series and source ids by what they stand for, shared by all batches of a process."""

    def __init__(self, engine: Engine, cap: int) -> None:
        self._engine = engine
        self._cap = cap
        self._ids: dict[int, dict[SeriesKey, int]] = {}
        self._sources: dict[str, int] = {}

    def prepare(self, keys: Iterable[SeriesKey]) -> None:
        """Make sure that every key has a series, creating what is missing within the cap."""
        by_account: dict[int, set[SeriesKey]] = {}
        for key in keys:
            by_account.setdefault(key.account_id, set()).add(key)
        if unseen := sorted(by_account.keys() - self._ids.keys()):
            with read_snapshot(self._engine) as connection:
                self._ids |= {account_id: series_of_account(connection, account_id) for account_id in unseen}
        missing = {account_id: sorted(wanted - self._ids[account_id].keys()) for account_id, wanted in by_account.items()}
        if any(missing.values()):
            with exclusive_write(self._engine) as connection:
                created = {of: self._created(connection, of, missing[of]) for of in sorted(missing) if missing[of]}
            for account_id, found in created.items():
                self._ids[account_id] |= found

    def _created(self, connection: Connection, account_id: int, missing: list[SeriesKey]) -> dict[SeriesKey, int]:
        """Create what is missing; return all series that were not known here, those that others created too."""
        known = self._ids[account_id]
        # Series are created by one at a time: whatever came to be since these were read has a larger id.
        last = max(known.values(), default=0)
        others = series_of_account(connection, account_id, after=last)
        places: dict[SeriesKey, None] = {}
        for key in missing:
            if key not in others:
                place = fold_series(key, len(known) + len(others) + len(places), self._cap)
                if place not in known and place not in others:
                    places[place] = None
        if not places:
            return others
        insert_series(connection, places)
        return series_of_account(connection, account_id, after=last)

    def find(self, key: SeriesKey) -> tuple[int, SeriesKey]:
        """Return the id of the series that takes the key, and that series: ``key`` itself unless the cap fold_series it."""
        known = self._ids[key.account_id]
        series_id = known.get(key)
        if series_id is not None:
            return series_id, key
        for existing in (self._cap, 2 * self._cap):
            place = fold_series(key, existing, self._cap)
            if place in known:
                return known[place], place
        raise KeyError(key)

    def source_id(self, name: str) -> int:
        """Return the id of a source, which is created where it does not exist."""
        source_id = self._sources.get(name)
        if source_id is None:
            with exclusive_write(self._engine) as connection:
                insert_sources(connection, [name])
                source_id = source_ids(connection, [name])[name]
            self._sources[name] = source_id
        return source_id
