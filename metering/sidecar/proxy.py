"""What all connections of a sidecar share: settings, the pool of upstream connections, the journal, metrics."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec import Struct

from metering.domain.usage.events import UsageEvent
from metering.sidecar.callers import Caller, Callers
from metering.sidecar.exchanged import Exchanged
from metering.sidecar.journal import JournalWriter, SyncPolicy
from metering.sidecar.metered_events import EventMaker
from metering.sidecar.proxy_metrics import ProxyMetrics
from metering.sidecar.refusals import Refusal
from metering.sidecar.request_facts import BodyFacts

_encode = msgspec.msgpack.Encoder().encode
_log = logging.getLogger(__name__)


class ProxyLimits(Struct, frozen=True):
    """Bounds and timeouts, in bytes and seconds.

    ``max_buffered_body``: a longer body of a request is passed on while it arrives, and only its start is read.
    """

    max_head_bytes: int = 64 * 1024
    max_target_bytes: int = 16 * 1024
    max_buffered_body: int = 8 * 1024 * 1024
    max_clients: int = 2_000
    connect_seconds: float = 10
    head_seconds: float = 10
    body_idle_seconds: float = 60
    answer_seconds: float = 600
    answer_idle_seconds: float = 300
    drain_seconds: float = 5
    keep_alive_seconds: float = 75
    linger_seconds: float = 5
    upstream_idle_seconds: float = 15
    shutdown_seconds: float = 30


class Hold(Protocol):
    """A reservation of one request's money in the budgets that it counts in. It is settled or released, once."""

    def settle(self, event: UsageEvent, position: int | None) -> None:
        """Replace the reservation with what the request cost. ``position`` None: the journal had no room for the event."""

    def release(self) -> None:
        """Give the reservation back: the request was never made."""


class EnteringRequest(Struct, frozen=True):
    """A request that asks to be let through. ``provider`` is ``unknown`` if the request leaves it to the router.

    ``started`` is microseconds UTC. ``input_tokens`` are estimated; 0 for a body that is not read whole. ``body_bytes`` is the
    stated length of the body, and ``unread_bytes`` that of a JSON body that is not read whole.
    """

    caller: Caller
    path: str
    provider: str
    facts: BodyFacts
    input_tokens: int
    body_bytes: int
    unread_bytes: int
    started: int


class Gate(Protocol):
    """Decides whether budgets let a request through."""

    is_closed: bool
    """Whether any budget could refuse a request now; if not, the gate is not asked."""

    def try_enter(self, request: EnteringRequest) -> Refusal | Hold | None:
        """Reserve what the request can cost, or refuse it; None: that takes ``enter``, because something is not known yet."""

    async def enter(self, request: EnteringRequest) -> Refusal | Hold:
        """Wait a moment for what is not known, then reserve or refuse."""

    def tick(self) -> None:
        """Do what is due from time to time."""


class NoHold:
    """No reservation."""

    def settle(self, event: UsageEvent, position: int | None) -> None:
        """Nothing was reserved."""

    def release(self) -> None:
        """Nothing was reserved."""


class OpenGate:
    """Lets every request through: there are no budgets that block."""

    is_closed = False

    def try_enter(self, request: EnteringRequest) -> Refusal | Hold | None:
        """Reserve nothing."""
        del request
        return NoHold()

    async def enter(self, request: EnteringRequest) -> Refusal | Hold:
        """Reserve nothing."""
        del request
        return NoHold()

    def tick(self) -> None:
        """There is nothing to do."""


class Meter:
    """Makes events of exchanges and writes them to the journal."""

    def __init__(
        self, maker: EventMaker, callers: Callers, journal: JournalWriter, policy: SyncPolicy, metrics: ProxyMetrics
    ) -> None:
        self.callers = callers
        self.journal = journal
        self.metrics = metrics
        self.syncs_each = policy is SyncPolicy.EACH
        self._maker = maker
        self._run = secrets.token_hex(6)
        self._count = 0
        self._waiting: list[Callable[[], None]] = []
        self._syncing = False

    def new_id(self) -> str:
        """Return an ID that no other exchange has."""
        self._count += 1
        return f"sc-{self._run}-{self._count:x}"

    def record(self, exchanged: Exchanged, hold: Hold | None) -> UsageEvent:
        """Write the event of an exchange to the journal and settle its reservation."""
        try:
            event = self._maker.event_of(exchanged)
            is_kept = self.journal.append(_encode(event))
        except BaseException:
            if hold is not None:
                hold.release()
            raise
        if not is_kept:
            self.metrics.dropped.inc()
        if hold is not None:
            hold.settle(event, self.journal.position if is_kept else None)
        self.metrics.exchange(event, exchanged)
        return event

    def when_synced(self, call: Callable[[], None]) -> None:
        """Call back once the disk keeps everything that was written so far. Those who wait share a sync."""
        self._waiting.append(call)
        if not self._syncing:
            self._syncing = True
            asyncio.get_running_loop().create_task(self._sync_waiting())

    async def sync(self) -> None:
        """Have the disk keep what was written, if anything was."""
        if self.journal.is_dirty:
            await asyncio.get_running_loop().run_in_executor(None, self.journal.sync)

    async def _sync_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            await loop.run_in_executor(None, self.journal.sync)
            for call in waiting:
                call()
        self._syncing = False


def now_micros() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1_000
