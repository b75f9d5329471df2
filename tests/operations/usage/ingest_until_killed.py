"""A program for the crash safety test: ingests a log in small blocks and acknowledges each commit.

``python ingest_until_killed.py URL LOG NOW``
"""

import sys

from metering.formats.options import DecodeOptions
from metering.operations.usage import commit_group, read_log
from metering.operations.usage.ingest import Ingester, IngestSettings
from metering.operations.usage.ingest_log import LogRequest, ingest_log
from metering.storage.engine.database import open_database

BLOCK_LINES = 40
COMMIT_EVENTS = 100  # two or three blocks


def main() -> None:
    """Ingest the log. Each printed line acknowledges a number of stored records."""
    url, log, now = sys.argv[1], sys.argv[2], int(sys.argv[3])
    read_log.BLOCK_LINES = BLOCK_LINES
    commit_group.COMMIT_EVENTS = commit_group.SERVER_COMMIT_EVENTS = COMMIT_EVENTS
    engine = open_database(url)
    ingester = Ingester(engine, IngestSettings(), lambda: now)
    request = LogRequest(log, DecodeOptions(source="crash.log", now=now))

    def acknowledge(progress) -> None:
        sys.stdout.write(f"{progress.result.received}\n")
        sys.stdout.flush()

    ingest_log(engine, ingester, request, declared_tags=frozenset(), on_progress=acknowledge)


if __name__ == "__main__":
    main()
