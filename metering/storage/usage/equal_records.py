"""Counting equal records of one input in bounded memory.

A record without an id is known by its raw content and by how many equal ones came before it. A log can have any number of
them, so the counts live in a private temporary database that spills to disk and goes away with the process.
"""

import sqlite3
from collections.abc import Sequence

_PAGE_CACHE_KIB = 32_768
_COUNT = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"


class EqualRecords:
    """The ordinals of records among their equals, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
        self._connection.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID")

    def __call__(self, digests: Sequence[str]) -> list[int]:
        """Return, for each hex digest, how many equal ones came before it."""
        keys = [bytes.fromhex(digest) for digest in digests]
        self._connection.execute("BEGIN")
        added = [self._connection.execute(_COUNT, (key,)).fetchone()[0] for key in keys]
        self._connection.execute("COMMIT")
        return [count - 1 for count in added]
