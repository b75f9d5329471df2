"""Run as a program by the test of crash safety: closes a month of accounts, and says so after each; may kill itself on the way.

``python close_until_killed.py URL NOW [STEP]``: with a step, the process kills itself in the middle of the first close, where
``close_month`` would call the function of that name.
"""

import os
import signal
import sys

from metering.operations.statements import close_month
from metering.operations.statements.close_due import close_due_months
from metering.storage.engine.database import open_database
from pricing.bundled import bundled_plans


def _kill(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Close what is due; each line printed is the acknowledgement of one statement: its account and digest."""
    url, now = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:
        setattr(close_month, sys.argv[3], _kill)
    how = close_month.CloseOptions(bundled_plans())
    for closed in close_due_months(open_database(url), how, grace_hours=0, now=now):
        sys.stdout.write(f"{closed.account} {closed.digest}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
