"""Replay the quarantine: read every file with rejected records again and resolve the records that are valid now.

Files are read whole: records that were accepted before are duplicates. Records from the API or standard input have no file to
read again and stay in quarantine.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct, field
from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.domain.usage.outcomes import BatchResult
from metering.domain.usage.quarantine import QuarantinedRecord
from metering.formats.detect import Format
from metering.formats.options import DecodeOptions
from metering.operations.usage.ingest import Ingester
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.storage.engine.database import read_snapshot
from metering.storage.usage.quarantine import count_open, open_records


class ReplayedFile(Struct):
    """One file that was read again. ``error``: why it could not be read, or not to its end."""

    file: str
    source: str
    open_before: int
    result: BatchResult = field(default_factory=BatchResult)
    error: DomainError | None = None


class ReplayResult(Struct):
    """The result by file, the number of records without a file, and the number still in quarantine."""

    files: list[ReplayedFile] = field(default_factory=list)
    without_file: int = 0
    still_open: int = 0


class _ReadParameters(Struct, frozen=True):
    """How a record in quarantine was read, as ``ingest_log`` stored it."""

    format: Format
    options: DecodeOptions


def replay_quarantine(
    engine: Engine,
    ingester: Ingester,
    *,
    now: int,
    declared_tags: frozenset[str],
    create_accounts: bool = False,
) -> ReplayResult:
    """Read the files of all records in quarantine again, each once, with the options of its last read.

    ``now`` (microseconds UTC) replaces the time that decided which records were in the future.
    """
    with read_snapshot(engine) as connection:
        records = open_records(connection)
    replay = ReplayResult(without_file=sum(not record.file for record in records))
    for request, open_before in _requests(records, now, create_accounts=create_accounts):
        replayed = ReplayedFile(request.path, request.options.source, open_before)
        replay.files.append(replayed)
        try:
            replayed.result = ingest_log(engine, ingester, request, declared_tags=declared_tags)
        except DomainError as error:
            replayed.error = error
    with read_snapshot(engine) as connection:
        replay.still_open = count_open(connection)
    return replay


def _requests(records: Sequence[QuarantinedRecord], now: int, *, create_accounts: bool) -> list[tuple[LogRequest, int]]:
    """Return how to read each file of a source again, oldest record first, and how many of its records are in quarantine.

    The options of the last read are used: had earlier ones been right, their records would be resolved.
    """
    by_file: dict[tuple[str, str], list[QuarantinedRecord]] = {}
    for record in records:
        if record.file:
            by_file.setdefault((record.source, record.file), []).append(record)
    requests = []
    for (_, file), same in by_file.items():
        last = max(same, key=lambda record: (record.seen_at, record.id))
        parameters = msgspec.json.decode(last.options, type=_ReadParameters)
        options = msgspec.structs.replace(parameters.options, now=now)
        requests.append((LogRequest(file, options, parameters.format, create_accounts), len(same)))
    return requests
