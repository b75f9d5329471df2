"""Ships a journal to the database: ``python -m metering.sidecar.shipping START [FD]``, with a SidecarStart as JSON.

FD is an open connection to the sidecar, over which budgets are published to it.
"""

import logging
import os
import socket
import sys
import threading
import time

from sqlalchemy.exc import DBAPIError

from metering.operations.service.open_service import Service, open_service
from metering.operations.service.settings import read_settings
from metering.operations.service.sidecar_settings import SidecarStart
from metering.sidecar.shipping.budget_feed import BudgetFeed
from metering.sidecar.shipping.database_store import DatabaseStore
from metering.sidecar.shipping.journal_shipping import ship_journal
from metering.sidecar.shipping.stored_position import StoredPosition

_OPEN_AGAIN_SECONDS = 2.0

_log = logging.getLogger(__name__)


def _database(start: SidecarStart, finishing: threading.Event, stored: StoredPosition) -> DatabaseStore:
    service = _service(finishing)
    if len(sys.argv) > 2:
        BudgetFeed(service, stored, socket.socket(fileno=int(sys.argv[2]))).start()
    return DatabaseStore(service, start.source)


def _service(finishing: threading.Event) -> Service:
    settings = read_settings(os.environ)
    while True:
        try:
            return open_service(settings, _now, create=True)
        except DBAPIError as error:
            _log.warning("the database cannot be opened; trying again: %s", str(error.orig).split("\n", 1)[0])
            if finishing.wait(_OPEN_AGAIN_SECONDS):
                sys.exit(1)


def _now() -> int:
    return time.time_ns() // 1_000


if __name__ == "__main__":
    ship_journal(_database)
