"""Composition of the shipping process: ``python -m metering.sidecar.shipping START``, where START is a SidecarStart as JSON."""

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec

from metering.operations.service.logs import LogSettings, configure_logging
from metering.operations.service.sidecar_settings import SidecarStart
from metering.sidecar.shipping.ship import Shipper, Store

_OPEN_AGAIN_SECONDS = 2.0

_log = logging.getLogger(__name__)


def main() -> None:
    """Ship until standard input is closed: the sidecar has ended."""
    start = msgspec.json.decode(sys.argv[1], type=SidecarStart)
    configure_logging(LogSettings(start.log_level, start.log_as_json), logging.INFO)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; the sidecar says when to end
    finishing = threading.Event()
    threading.Thread(target=_watch_input, args=(finishing,), daemon=True).start()
    Shipper(Path(start.settings.journal), _store(start, finishing), finishing.is_set).run()


def _watch_input(finishing: threading.Event) -> None:
    while sys.stdin.buffer.read(1):
        pass
    finishing.set()


def _store(start: SidecarStart, finishing: threading.Event) -> Store:
    if start.service:
        from metering.sidecar.shipping.service_store import ServiceStore  # noqa: PLC0415 - needs no database

        return ServiceStore(start.service, os.environ.get("METERING_SIDECAR_SERVICE_KEY", ""))
    return _database_store(start, finishing)


def _database_store(start: SidecarStart, finishing: threading.Event) -> Store:
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from metering.operations.service.open_service import open_service  # noqa: PLC0415
    from metering.operations.service.settings import read_settings  # noqa: PLC0415
    from metering.sidecar.shipping.database_store import DatabaseStore  # noqa: PLC0415

    settings = read_settings(os.environ)
    while True:
        try:
            return DatabaseStore(open_service(settings, _now, create=True), start.source)
        except DBAPIError as error:
            _log.warning("the database cannot be opened; trying again: %s", str(error.orig).split("\n", 1)[0])
            if finishing.wait(_OPEN_AGAIN_SECONDS):
                sys.exit(1)


def _now() -> int:
    return time.time_ns() // 1_000


if __name__ == "__main__":
    main()
