"""Export a month's events to Parquet files, so that they can leave the log and still be read.

A folder ``YYYY-MM`` appears once all of it is on disk; until then it has a different name. Its manifest records each file's
number of rows and digest, so that the files can be checked later.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.instants import format_instant, format_month
from metering.domain.upkeep.retirements import EventExport, MonthFacts
from metering.exports.event_parquet import CHARGES, COPIES, EVENTS, count_rows, expressions, write_parquet
from metering.storage.engine.database import read_snapshot
from metering.storage.usage.retired_months import event_rows_of_month, month_facts, rows_about_month

MANIFEST = "manifest.json"
_PORTION = 50_000
_READ_BYTES = 1 << 20


class EventExportFailedError(DomainError):
    """The files could not be written, or do not contain what was written to them."""

    code = "export_failed"


def export_events(
    engine: Engine, month: int, into: Path, *, now: int, on_progress: Callable[[int, int], None] | None = None
) -> EventExport:
    """Write the events of a month, their later charges and their copies to a new folder in ``into``.

    ``on_progress`` is called with the number of events written, and the total. Raises AlreadyExistsError,
    EventExportFailedError, ParquetMissingError.
    """
    directory = into / format_month(month)
    if directory.exists():
        raise AlreadyExistsError(f"{directory} already exists; choose another folder, or remove that one")
    partial_directory = into / f".{directory.name}.{os.getpid()}.partial"
    try:
        partial_directory.mkdir(parents=True)
        try:
            with read_snapshot(engine) as connection:
                facts = month_facts(connection, month)
                files = _write(connection, month, partial_directory, facts, on_progress)
            digest = _write_manifest(partial_directory, month, files, now)
            partial_directory.rename(directory)
            _sync(into)
        finally:
            shutil.rmtree(partial_directory, ignore_errors=True)
    except OSError as error:
        raise EventExportFailedError(f"{directory}: {error.strerror or error}") from error
    return EventExport(directory, digest, facts)


def _write(
    connection: Connection, month: int, directory: Path, facts: MonthFacts, on_progress: Callable[[int, int], None] | None
) -> dict[str, dict[str, Any]]:
    """Write the three files; return the manifest's entry for each."""
    done = 0

    def with_progress() -> Any:
        nonlocal done
        for rows in event_rows_of_month(connection, month, expressions(EVENTS), _PORTION):
            yield rows
            done += len(rows)
            if on_progress is not None:
                on_progress(done, facts.events)

    related = partial(rows_about_month, connection, month, portion=_PORTION)
    charges = related(columns=expressions(CHARGES), table="charges", event="event_id")
    copies = related(columns=expressions(COPIES), table="event_copies", event="copy_of")
    plan = {
        "events.parquet": (EVENTS, with_progress(), facts.events),
        "charges.parquet": (CHARGES, charges, facts.charges),
        "copies.parquet": (COPIES, copies, facts.copies),
    }
    files = {}
    for name, (columns, portions, expected) in plan.items():
        path = directory / name
        written = write_parquet(path, columns, portions)
        if not written == count_rows(path) == expected:
            raise EventExportFailedError(f"{path} has {count_rows(path)} rows instead of {expected}")
        _sync(path)
        files[name] = {"rows": written, "bytes": path.stat().st_size, "sha256": _sha256(path)}
    return files


def _write_manifest(directory: Path, month: int, files: dict[str, dict[str, Any]], now: int) -> str:
    head = {"format": "metering-events", "version": 1, "month": format_month(month), "exported_at": format_instant(now)}
    content = json.dumps(head | {"files": files}, indent=2).encode() + b"\n"
    (directory / MANIFEST).write_bytes(content)
    _sync(directory / MANIFEST)
    _sync(directory)
    return hashlib.sha256(content).hexdigest()


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
