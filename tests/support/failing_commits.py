"""Make the next commit that touches a table fail, as when the disk is full or the connection to the server is lost."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError


@contextmanager
def failing_commit(engine: Engine, table: str, *, skipped: int = 0) -> Iterator[list[str]]:
    """Fail one commit of a transaction that writes to a table, after ``skipped`` such commits have succeeded.

    The transaction is rolled back, and its caller gets an OperationalError. Yields a list that contains the table once the
    commit has failed.
    """
    writes = re.compile(rf"\s*(INSERT( OR \w+)? INTO|UPDATE|DELETE FROM) {table}\b")
    failed: list[str] = []
    seen = []

    def note_write(connection, cursor, statement, parameters, context, executemany):
        if writes.match(statement):
            connection.info["writes_table"] = True

    def fail(connection):
        if not connection.info.pop("writes_table", False) or failed:
            return
        seen.append(table)
        if len(seen) > skipped:
            failed.append(table)
            raise OperationalError("COMMIT", None, ConnectionError("the commit failed"))

    def forget(connection):
        connection.info.pop("writes_table", None)

    listeners = (("before_cursor_execute", note_write), ("commit", fail), ("rollback", forget))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield failed
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
