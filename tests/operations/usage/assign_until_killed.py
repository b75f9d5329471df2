"""A program for the crash safety test: assigns usage in small chunks and acknowledges each commit.

``python assign_until_killed.py URL NAME ACCOUNT NOW``
"""

import sys

from metering.domain.usage.assigning import AssignmentScope
from metering.operations.usage import assign_usage
from metering.operations.usage.ingest import IngestSettings
from metering.storage.engine.database import open_database

CHUNK = 40


def main() -> None:
    """Assign all usage of NAME. Each printed line acknowledges a number of assigned events."""
    url, name, account, now = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    assign_usage.CHUNK = CHUNK

    def acknowledge(done) -> None:
        sys.stdout.write(f"{done.total.events + done.repeats}\n")
        sys.stdout.flush()

    assign_usage.assign_usage(
        open_database(url), account, AssignmentScope(name), IngestSettings(), clock=lambda: now, on_progress=acknowledge
    )


if __name__ == "__main__":
    main()
