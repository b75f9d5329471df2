"""The sidecar's event loop: listening, deadlines, the journal's upkeep, and an orderly end."""

import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path

from metering.sidecar.client_connection import ClientConnection
from metering.sidecar.journal import SyncPolicy, segments
from metering.sidecar.passing import Passing
from metering.sidecar.shipper_process import ShipperProcess

_TICK_SECONDS = 0.5
_ROTATE_SECONDS = 5.0
_WARN_SHARE = 2  # half of the journal's bound
_BACKLOG = 1_024

_log = logging.getLogger(__name__)


class SidecarServer:
    """Serves until it receives SIGTERM or SIGINT."""

    def __init__(self, passing: Passing, folder: Path, policy: SyncPolicy, sync_ms: int, shipper: ShipperProcess) -> None:
        self._passing = passing
        self._folder = folder
        self._policy = policy
        self._sync_seconds = sync_ms / 1000
        self._shipper = shipper
        self._clients: set[ClientConnection] = set()
        self._stop = asyncio.Event()
        self._warned_of = 0

    async def serve(self, host: str, port: int, *, ends_with_input: bool = False) -> None:
        """Listen, and pass requests on until SIGTERM or SIGINT, or with ``ends_with_input`` until standard input is closed.

        Raises OSError if the address cannot be used.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: ClientConnection(self._passing, self._clients), host, port, backlog=_BACKLOG)
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop.set)
        if ends_with_input:
            loop.add_reader(sys.stdin.fileno(), self._read_input)
        self._shipper.start()
        address = server.sockets[0].getsockname()
        _log.info("listening on http://%s:%s", address[0], address[1])
        upkeep = [loop.create_task(self._tick())]
        if self._policy is SyncPolicy.GROUP:
            upkeep.append(loop.create_task(self._sync()))
        try:
            await self._stop.wait()
        finally:
            server.close()
            await self._finish()
            for task in upkeep:
                task.cancel()
            self._passing.meter.journal.close()
            await loop.run_in_executor(None, self._shipper.finish)

    def _read_input(self) -> None:
        """Stop once the input is closed: the server that started this has ended."""
        if not os.read(sys.stdin.fileno(), 4_096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._stop.set()

    async def _finish(self) -> None:
        """Let requests that are under way end, for a while."""
        passing, loop = self._passing, asyncio.get_running_loop()
        passing.is_stopping = True
        deadline = loop.time() + passing.limits.shutdown_seconds
        for client in list(self._clients):
            if client.is_idle:
                client.close()
        while passing.exchanges and loop.time() < deadline:
            await asyncio.sleep(0.05)
        for exchange in list(passing.exchanges):
            exchange.client_gone()
            exchange.expire()
        for client in list(self._clients):
            client.abort()

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(self._sync_seconds)
            await self._passing.meter.sync()

    async def _tick(self) -> None:
        """Watch deadlines, and look after the journal and the process that ships it."""
        loop = asyncio.get_running_loop()
        rotated = loop.time()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                now = loop.time()
                self._expire(now)
                self._passing.upstream.close_idle(now - self._passing.limits.upstream_idle_seconds)
                if now - rotated >= _ROTATE_SECONDS:
                    rotated = now
                    self._passing.meter.journal.rotate()
                self._passing.gate.tick()
                self._watch_journal()
                self._passing.meter.metrics.clients.set(len(self._clients))
                self._passing.meter.metrics.shipping.set(int(self._shipper.keep_running()))
            except Exception:
                _log.exception("the sidecar's upkeep failed; requests are passed on")

    def _expire(self, now: float) -> None:
        for client in [each for each in self._clients if each.deadline and each.deadline < now]:
            client.expire()
        for exchange in [each for each in self._passing.exchanges if each.deadline and each.deadline < now]:
            exchange.expire()

    def _watch_journal(self) -> None:
        meter = self._passing.meter
        meter.journal.refresh()
        found = segments(self._folder)
        metrics = meter.metrics
        metrics.journal_bytes.set(meter.journal.size)
        age = 0.0
        if found:
            try:
                age = max(0.0, time.time() - found[0].path.stat().st_mtime)
            except FileNotFoundError:
                age = 0.0
        metrics.journal_seconds.set(age)
        share = meter.journal.size * _WARN_SHARE // max(1, meter.journal.max_bytes)
        if share and share > self._warned_of:
            _log.warning(
                "the journal has %d bytes of at most %d: events are not being stored; see the messages of shipping",
                meter.journal.size,
                meter.journal.max_bytes,
            )
        self._warned_of = share
