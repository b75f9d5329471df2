"""Which series an event belongs to. New series commit first, in a short transaction, before the batch that uses them.

An id enters the cache only after its commit. All series of an account are loaded when it is first seen, so that a miss means
new; the cap per account bounds the cache.
"""

from collections.abc import Iterable

from sqlalchemy import Engine

from metering.domain.series import SeriesKey, folded
from metering.storage.database import reading, writing
from metering.storage.series import insert_series, insert_sources, series_of_account, source_ids


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
        for account_id, wanted in sorted(by_account.items()):
            if account_id not in self._ids:
                with reading(self._engine) as connection:
                    self._ids[account_id] = series_of_account(connection, account_id)
            if missing := sorted(wanted - self._ids[account_id].keys()):
                self._create(account_id, missing)

    def _create(self, account_id: int, missing: list[SeriesKey]) -> None:
        known = self._ids[account_id]
        created: dict[SeriesKey, int] = {}
        with writing(self._engine) as connection:
            for key in missing:
                place = folded(key, len(known) + len(created), self._cap)
                if place not in known and place not in created:
                    created[place] = insert_series(connection, place)
        known.update(created)

    def find(self, key: SeriesKey) -> tuple[int, SeriesKey]:
        """Return the id of the series that takes the key, and that series: ``key`` itself unless the cap folded it."""
        known = self._ids[key.account_id]
        series_id = known.get(key)
        if series_id is not None:
            return series_id, key
        for existing in (self._cap, 2 * self._cap):
            place = folded(key, existing, self._cap)
            if place in known:
                return known[place], place
        raise KeyError(key)

    def source_id(self, name: str) -> int:
        """Return the id of a source, which is created where it does not exist."""
        source_id = self._sources.get(name)
        if source_id is None:
            with writing(self._engine) as connection:
                insert_sources(connection, [name])
                source_id = source_ids(connection, [name])[name]
            self._sources[name] = source_id
        return source_id
