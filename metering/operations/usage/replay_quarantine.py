"""Replay the quarantine: read every file with open records again, the way it was read, and resolve what reads well now.

A file is read whole: what was accepted before is a duplicate. Records that came over the API or standard input have no file
to be read from again; they stay open.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct, field
from sqlalchemy import Engine

from metering.domain.errors import LogFormatError
from metering.domain.usage.outcomes import BatchResult
from metering.domain.usage.quarantine import QuarantinedRecord
from metering.formats.detect import Format
from metering.formats.options import DecodeOptions
from metering.operations.usage.ingest import Ingester
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.storage.engine.database import read_snapshot
from metering.storage.usage.quarantine import count_open, open_records


class ReplayedFile(Struct):
    """One file that was read again; ``error`` where it could not be, or not to its end."""

    file: str
    source: str
    open_before: int
    result: BatchResult = field(default_factory=BatchResult)
    error: LogFormatError | None = None


class ReplayResult(Struct):
    """What became of the open records: by file, how many have no file, and how many are still open."""

    files: list[ReplayedFile] = field(default_factory=list)
    without_file: int = 0
    still_open: int = 0


class _ReadParameters(Struct, frozen=True):
    """What a record in quarantine says of how it was read (``ingest_log`` writes it)."""

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
    """Read the files of all open records again, each once, the way it was read last.

    ``now`` (microseconds UTC) is what "in the future" is judged by this time.
    """
    with read_snapshot(engine) as connection:
        records = open_records(connection)
    replay = ReplayResult(without_file=sum(not record.file for record in records))
    for request, open_before in _requests(records, now, create_accounts=create_accounts):
        again = ReplayedFile(request.path, request.options.source, open_before)
        replay.files.append(again)
        try:
            again.result = ingest_log(engine, ingester, request, declared_tags=declared_tags)
        except LogFormatError as error:
            again.error = error
    with read_snapshot(engine) as connection:
        replay.still_open = count_open(connection)
    return replay


def _requests(records: Sequence[QuarantinedRecord], now: int, *, create_accounts: bool) -> list[tuple[LogRequest, int]]:
    """Return how to read each file of a source again, oldest record first, and how many of its records are open.

    The way in which it was read last counts: another way before that was a mistake, or its records would be resolved.
    """
    of_file: dict[tuple[str, str], list[QuarantinedRecord]] = {}
    for record in records:
        if record.file:
            of_file.setdefault((record.source, record.file), []).append(record)
    requests = []
    for (_, file), same in of_file.items():
        last = max(same, key=lambda record: (record.seen_at, record.id))
        how = msgspec.json.decode(last.options, type=_ReadParameters)
        options = msgspec.structs.replace(how.options, now=now)
        requests.append((LogRequest(file, options, how.format, create_accounts), len(same)))
    return requests
