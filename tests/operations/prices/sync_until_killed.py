"""Run as a program by the test of crash safety: syncs, and stops in the middle of the transaction.

``python sync_until_killed.py DATABASE ROUTER_URL NOW STEP``, where STEP is ``fetched``, ``recorded`` or ``alerted``.
"""

import sys
import time

from metering.operations.prices import record_version
from metering.operations.prices import sync_prices as operation
from metering.operations.prices.sync_settings import SyncSettings
from metering.outbound.fetch import Clock, FetchLimits, open_fetch
from metering.storage.engine.database import open_database
from metering.storage.prices import price_syncs

PATIENCE = 30
# Before the fetched list is compared; after the table but before the alert; after the alert but before the row of the sync.
STEPS = {
    "fetched": (operation, "current_prices", 2),
    "recorded": (record_version, "raise_alert", 1),
    "alerted": (price_syncs, "insert_sync", 1),
}


def main() -> None:
    """Sync; at the step, print a line and wait to be killed."""
    database_url, url, now, step = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    module, name, which = STEPS[step]
    original = getattr(module, name)
    calls = []

    def stopping(*arguments, **options):
        calls.append(name)
        if len(calls) == which:
            sys.stdout.write("here\n")
            sys.stdout.flush()
            time.sleep(PATIENCE)
        return original(*arguments, **options)

    setattr(module, name, stopping)
    with open_fetch(FetchLimits(), Clock(time.sleep, time.monotonic)) as fetch:
        source = operation.RouterSource(fetch, SyncSettings(router_url=url), lambda: now)
        operation.sync_prices(open_database(database_url), source)


if __name__ == "__main__":
    main()
