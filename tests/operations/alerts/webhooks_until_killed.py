"""A program for crash tests: raises alerts and dispatches deliveries like a server, until it is killed.

``python webhooks_until_killed.py DATABASE ALERTS`` prints ``started``, raises each alert that does not exist, one per
transaction, and prints ``done`` when all are raised and sent.
"""

import sys
import time

from metering.operations.steps.raise_alert import raise_alert
from metering.outbound.post import PostLimits
from metering.runtime.dispatcher import Dispatcher, DispatchLimits
from metering.storage.alerts.webhook_deliveries import count_by_status
from metering.storage.engine.database import concurrent_write, open_database, read_snapshot
from support.webhook_builders import new_alert, webhook_settings

PATIENCE = 60


def now() -> int:
    return time.time_ns() // 1_000


def main() -> None:
    """Raise and send."""
    engine, alerts = open_database(sys.argv[1]), int(sys.argv[2])
    limits = DispatchLimits(poll_seconds=0.05, lease_seconds=5, post=PostLimits(total_seconds=4))
    dispatcher = Dispatcher(engine, webhook_settings(), now, limits)
    dispatcher.start()
    print("started", flush=True)  # noqa: T201
    for number in range(alerts):
        with concurrent_write(engine) as connection:
            raise_alert(connection, new_alert(f"budget:{number}"), now=now())
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with read_snapshot(engine) as connection:
            if not count_by_status(connection, 1).get("pending"):
                print("done", flush=True)  # noqa: T201
                dispatcher.stop()
                return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
