"""Find or create the series that events belong to.

New series commit first, in a short transaction, before the batch that uses them; an id enters the cache only after that
commit. All series of an account are loaded when the account is first seen, so a cache miss means that a series is new. The cap
per account bounds the cache.
"""

import threading
from collections.abc import Iterable

from sqlalchemy import Connection, Engine

from metering.domain.usage.series import SeriesKey, fold_series
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.usage.series import SourceRow, insert_series, insert_sources, series_of_account, source_named


class SeriesIndex:
    """Ids of series by key and of sources by name, shared by all batches of a process."""

    def __init__(self, engine: Engine, cap: int) -> None:
        self._engine = engine
        self._cap = cap
        self._ids: dict[int, dict[SeriesKey, int]] = {}
        self._sources: dict[str, SourceRow] = {}
        self._lock = threading.Lock()

    def prepare(self, keys: Iterable[SeriesKey]) -> None:
        """Make sure that every key has a series; create missing ones, within the cap."""
        with self._lock:
            self._prepare(keys)

    def _prepare(self, keys: Iterable[SeriesKey]) -> None:
        by_account: dict[int, set[SeriesKey]] = {}
        for key in keys:
            by_account.setdefault(key.account_id, set()).add(key)
        if unseen := sorted(by_account.keys() - self._ids.keys()):
            with read_snapshot(self._engine) as connection:
                self._ids |= {account_id: series_of_account(connection, account_id) for account_id in unseen}
        missing = {account_id: sorted(keys_of - self._ids[account_id].keys()) for account_id, keys_of in by_account.items()}
        if any(missing.values()):
            with exclusive_write(self._engine) as connection:
                created = {of: self._create(connection, of, missing[of]) for of in sorted(missing) if missing[of]}
            for account_id, series in created.items():
                self._ids[account_id] |= series

    def _create(self, connection: Connection, account_id: int, missing: list[SeriesKey]) -> dict[SeriesKey, int]:
        """Create missing series. Return every series that was not in the cache, including those of other processes."""
        known = self._ids[account_id]
        # One transaction at a time creates series, so all that were created since the cache was read have larger ids.
        last = max(known.values(), default=0)
        others = series_of_account(connection, account_id, after=last)
        new: dict[SeriesKey, None] = {}
        for key in missing:
            if key not in others:
                series = fold_series(key, len(known) + len(others) + len(new), self._cap)
                if series not in known and series not in others:
                    new[series] = None
        if not new:
            return others
        insert_series(connection, new)
        return series_of_account(connection, account_id, after=last)

    def find(self, key: SeriesKey) -> tuple[int, SeriesKey]:
        """Return (id, series) for a key that was prepared. The series is ``key`` itself unless the cap folded it."""
        known = self._ids[key.account_id]
        series_id = known.get(key)
        if series_id is not None:
            return series_id, key
        for existing in (self._cap, 2 * self._cap):
            series = fold_series(key, existing, self._cap)
            if series in known:
                return known[series], series
        raise KeyError(key)

    def id_of(self, key: SeriesKey) -> int:
        """Return the ID of the series that is exactly ``key``, not folded. Raises KeyError if it was not prepared."""
        return self._ids[key.account_id][key]

    def source(self, name: str, *, derived: bool) -> SourceRow:
        """Return a source; create it if it does not exist, ``derived`` if its name is only that of a file."""
        source = self._sources.get(name)
        if source is None:
            with exclusive_write(self._engine) as connection:
                insert_sources(connection, [name], derived=derived)
                source = source_named(connection, name)
            self._sources[name] = source
        return source
