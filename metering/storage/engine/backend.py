"""What differs between SQLite and PostgreSQL: one backend class per database, chosen when the database is opened.

An engine carries its backend in its execution options, which its connections inherit. ``backend_of`` reads it from either.
Rooms that have their own SQL or rules for each database choose with ``PerBackend``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, Select, Table
from sqlalchemy.engine import Dialect

T = TypeVar("T")

BACKEND_OPTION = "metering_backend"


class Backend(ABC):
    """One opened database: how to connect, lock and write, and how to spell SQL that SQLAlchemy does not translate.

    ``name`` is the URL's (``sqlite``, ``postgresql``). ``is_server`` is true where the database runs in its own processes.
    ``dialect`` compiles statements that go to the driver directly.
    """

    name: ClassVar[str]
    is_server: ClassVar[bool]
    dialect: ClassVar[Dialect]

    # Connections and transactions

    @classmethod
    @abstractmethod
    def open_engine(cls, url: URL) -> Engine:
        """Return an engine with its backend. Raises DatabaseUrlError for a URL that cannot be used."""

    @abstractmethod
    def read_snapshot(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Give a connection that only reads; all its statements see one state of the database."""

    @abstractmethod
    def autocommit(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Give a connection that only reads; each statement may see a different state."""

    @abstractmethod
    def exclusive_write(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Give a connection in a write transaction; only one of these runs at a time."""

    @abstractmethod
    def concurrent_write(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Give a connection in a write transaction that may run alongside others, where the database allows it."""

    @abstractmethod
    def migration_transaction(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Give a write transaction in which the schema may change; only one of these runs at a time."""

    # Locks

    @abstractmethod
    def share_accounts(self, connection: Connection, account_ids: Collection[int]) -> None:
        """Take a shared lock on accounts until the transaction ends."""

    @abstractmethod
    def lock_account(self, connection: Connection, account_id: int) -> None:
        """Take an exclusive lock on an account until the transaction ends."""

    # Disk space and damage

    @abstractmethod
    def database_bytes(self, engine: Engine) -> int:
        """Return the size of the database on disk."""

    @abstractmethod
    def vacuum(self, engine: Engine) -> None:
        """Reclaim the space of deleted rows."""

    @abstractmethod
    def damage(self, connection: Connection) -> Iterator[str]:
        """Yield what the database itself reports as damaged."""

    # Partitions of the event log, one per UTC month (``YYYYMM``)

    @abstractmethod
    def months_without_partition(self, connection: Connection, months: Collection[int]) -> list[int]:
        """Return the months whose events cannot be stored before ``create_partitions``, in order."""

    @abstractmethod
    def create_partitions(self, connection: Connection, months: Collection[int]) -> None:
        """Create the missing partitions of months, in an exclusive write."""

    @abstractmethod
    def lock_partition(self, connection: Connection, month: int) -> None:
        """Keep other transactions from a month's events until this one ends."""

    @abstractmethod
    def empty_partition(self, connection: Connection, month: int) -> bool:
        """Remove a month's events at once. Return False where there are no partitions: the caller deletes the rows."""

    # SQL

    @staticmethod
    @abstractmethod
    def insert(table: Table) -> Any:
        """Return an INSERT that supports ON CONFLICT."""

    @abstractmethod
    def driver_sql(self, sql: str) -> str:
        """Return a statement whose parameters are marked with ``?`` as the driver expects it."""

    @abstractmethod
    def rows_at_once(self, connection: Connection, statement: Select[Any], named: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows of integers and texts that a statement finds; ``named`` are its parameters."""

    is_in_list: ClassVar[str]
    """Turns a column into the condition that its value is in a list of integers; one parameter, ``integer_list``."""

    @abstractmethod
    def integer_list(self, numbers: Iterable[int]) -> str:
        """Return integers as one parameter."""

    text_table: ClassVar[str]
    """A table ``wanted`` with the column ``value``, one row per text of a list; one parameter, ``text_list``."""

    @abstractmethod
    def text_list(self, texts: Collection[str]) -> Any:
        """Return texts as one parameter."""


def backend_of(bind: Engine | Connection) -> Backend:
    """Return the backend of an engine, or of a connection of it."""
    return cast("Backend", bind.get_execution_options()[BACKEND_OPTION])


class PerBackend(Generic[T]):
    """One value for each database: statements, functions or objects of a room that ``Backend`` does not know."""

    def __init__(self, *, sqlite: T, postgres: T) -> None:
        self._values = {"sqlite": sqlite, "postgresql": postgres}

    def of(self, bind: Engine | Connection) -> T:
        """Return the value for the database of an engine or a connection."""
        return self._values[backend_of(bind).name]
