"""SQL that was compiled for one engine is used by all others of the same kind of database.

SQLAlchemy compiles each statement once per engine. A test has its own database and engine, and would spend most of its time
compiling the statements that all other tests compiled before.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

from metering.storage.engine.backend import BACKEND_OPTION

_COMPILED: LRUCache[Any, Any] = LRUCache(2_000)
# What is compiled belongs to a dialect, and each engine has a separate one.
_DIALECTS: dict[str, Dialect] = {}


def share_compiled_statements() -> None:
    """Let all engines of this process that ``open_database`` opens share what is compiled."""
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    engine = connection.engine
    options = engine.get_execution_options()
    if BACKEND_OPTION in options and "compiled_cache" not in options:
        # The engine's own dialect is ready now: it has asked the server for its version.
        engine.dialect = connection.dialect = _DIALECTS.setdefault(engine.dialect.name, engine.dialect)
        engine.update_execution_options(compiled_cache=_COMPILED)
        connection.execution_options(compiled_cache=_COMPILED)
