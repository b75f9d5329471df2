"""Count equal records of one input in bounded memory.

A record without an ID is identified by its raw content and the number of equal records before it. A log can have any number of
them, so the counts are kept in a private temporary database that spills to disk and disappears with the process.
"""

import sqlite3
from collections.abc import Sequence

_PAGE_CACHE_KIB = 32_768
_COUNT = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"


class EqualRecords:
    """Numbers equal records in the order of the calls."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
        self._connection.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID")

    def __call__(self, digests: Sequence[str]) -> list[int]:
        """Return, for each hex digest, the number of equal ones before it."""
        keys = [bytes.fromhex(digest) for digest in digests]
        self._connection.execute("BEGIN")
        added = [self._connection.execute(_COUNT, (key,)).fetchone()[0] for key in keys]
        self._connection.execute("COMMIT")
        return [count - 1 for count in added]
