"""What both shipping processes do: read how the sidecar was started, and ship its journal until it has ended."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from metering.operations.service.logs import LogSettings, configure_logging
from metering.operations.service.sidecar_settings import SidecarStart
from metering.sidecar.shipping.ship import Shipper, Store
from metering.sidecar.shipping.stored_position import StoredPosition

StoreOf = Callable[[SidecarStart, threading.Event, StoredPosition], Store]

# Storing can wait a moment, requests cannot: on a busy machine they come first.
_NICENESS = 10


def ship_journal(store_of: StoreOf) -> None:
    """Ship until standard input is closed, which means that the sidecar has ended, and nothing is left.

    ``store_of`` opens the store; the event is set once the sidecar has ended, and the position says what is stored.
    """
    start = msgspec.json.decode(sys.argv[1], type=SidecarStart)
    configure_logging(LogSettings(start.log_level, start.log_as_json), logging.INFO)
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; the sidecar decides when to end
    finishing = threading.Event()
    threading.Thread(target=_watch_input, args=(finishing,), daemon=True).start()
    stored = StoredPosition()
    Shipper(Path(start.settings.journal), store_of(start, finishing, stored), finishing.is_set, stored).run()


def _watch_input(finishing: threading.Event) -> None:
    while sys.stdin.buffer.read(1):
        pass
    finishing.set()
