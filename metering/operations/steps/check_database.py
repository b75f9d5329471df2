"""Is the file whole, and does every reference lead somewhere?"""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.violations import Violation


def file_is_whole(connection: Connection) -> Iterator[Violation]:
    """SQLite's own check: pages, indexes, NOT NULL, CHECK and the types of STRICT tables."""
    for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check(100)"):
        if finding != "ok":
            yield Violation("database_damaged", "database", "ok", finding, f"SQLite's integrity_check found: {finding}")


def references_lead_somewhere(connection: Connection) -> Iterator[Violation]:
    """Every foreign key names a row that exists."""
    for table, rowid, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        where = f"{table} {rowid}"
        message = f"a row of {table} names a row of {parent} that does not exist"
        yield Violation("dangling_reference", where, f"a row of {parent}", "none", message)
