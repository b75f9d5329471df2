"""Run as a program by the tests of leadership: prints whether it leads, then waits to be killed.

``python lead_until_killed.py DATABASE``
"""

import sys
import time
from pathlib import Path

from metering.runtime.leader import Leader

PATIENCE = 30


def main() -> None:
    """Try to lead once; exit after a while if it is not killed."""
    leader = Leader(Path(sys.argv[1]))
    sys.stdout.write(f"{leader.is_leader()}\n")
    sys.stdout.flush()
    time.sleep(PATIENCE)


if __name__ == "__main__":
    main()
