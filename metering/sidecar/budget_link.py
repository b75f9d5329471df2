"""The proxy's end of the connection to the process that stores events. It never waits for that process."""

import asyncio
import logging
import socket
from typing import cast

import msgspec

from metering.sidecar.budget_gate import BudgetGate
from metering.sidecar.budget_messages import Frames, FromProxy, decode_from_shipping, framed

# What that process does not take is dropped beyond this: it is announced and asked for again.
_MAX_WAITING_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class BudgetLink:
    """Connects a gate to the process that stores events, each time one is started."""

    def __init__(self, gate: BudgetGate) -> None:
        self._gate = gate
        self._tasks: set[asyncio.Task[None]] = set()

    def adopt(self, end: socket.socket) -> None:
        """Use this end of the connection from now on."""
        task = asyncio.get_running_loop().create_task(self._connect(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, end: socket.socket) -> None:
        end.setblocking(False)  # noqa: FBT003 - the standard library's
        await asyncio.get_running_loop().create_unix_connection(lambda: _Messages(self._gate), sock=end)


class _Messages(asyncio.Protocol):
    """One connection."""

    def __init__(self, gate: BudgetGate) -> None:
        self._gate = gate
        self._frames = Frames()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to send."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._gate.connect(self._send)

    def data_received(self, data: bytes) -> None:
        """Hand over messages. One that cannot be read ends the connection, and budgets become unknown."""
        try:
            for payload in self._frames.feed(data):
                self._gate.receive(decode_from_shipping(payload))
        except (ValueError, msgspec.MsgspecError):
            _log.exception("the process that stores events sent what cannot be read about budgets")
            self._close()

    def connection_lost(self, error: Exception | None) -> None:
        """That process has ended."""
        del error
        if self._transport is not None:
            self._transport = None
            self._gate.disconnect(self._send)

    def _send(self, message: FromProxy) -> None:
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size() < _MAX_WAITING_BYTES:
            transport.write(framed(message))

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
