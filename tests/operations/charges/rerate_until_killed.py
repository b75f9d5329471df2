"""Program for the test of crash safety: continues a re-rating run in small chunks and reports each commit.

``python rerate_until_killed.py URL RUN NOW``
"""

import sys

from metering.operations.charges import rerate
from metering.storage.engine.database import open_database

CHUNK = 40


def main() -> None:
    """Continue the run. Each printed line acknowledges a number of replaced charges."""
    url, run_id, now = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rerate.CHUNK = CHUNK

    def acknowledge(run) -> None:
        sys.stdout.write(f"{run.events_changed}\n")
        sys.stdout.flush()

    rerate.continue_rerate(open_database(url), run_id, clock=lambda: now, on_progress=acknowledge)


if __name__ == "__main__":
    main()
