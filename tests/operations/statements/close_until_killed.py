"""A program for the crash-safety test: closes due months and acknowledges each one; can kill itself during a close.

``python close_until_killed.py URL NOW [STEP]``: with a step, the process kills itself during the first close, where
``close_month`` calls the function of that name.
"""

import os
import signal
import sys

from metering.domain.statements.statements import Statement
from metering.operations.statements import close_month
from metering.operations.statements.close_due import close_due_months
from metering.storage.engine.database import open_database
from pricing.bundled import bundled_plans
from support.presence import instance


def _kill(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Close what is due; print account and digest of each closed statement as its acknowledgement."""
    url, now = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:
        setattr(close_month, sys.argv[3], _kill)
    how = close_month.CloseOptions(bundled_plans())
    for closed in close_due_months(open_database(url), how, grace_hours=0, now=now):
        sys.stdout.write(f"{closed.account} {instance(Statement, closed).digest}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
