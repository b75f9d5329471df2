"""The webhook dispatcher: sends due deliveries, within milliseconds of a commit in this process, otherwise by polling.

One thread runs an event loop with many requests in progress but few per endpoint, so that a slow receiver delays only itself.
Any process on the database may run a dispatcher; each claims different deliveries. If a process ends, another dispatcher sends
its unfinished deliveries again.
"""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from random import SystemRandom

import httpx
from msgspec import Struct
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, StatementError

from metering.domain.instants import MICROS_PER_SECOND
from metering.operations.alerts.dispatch_deliveries import (
    ClaimedDelivery,
    ClaimLimits,
    CompletedAttempt,
    Concurrency,
    dispatch,
    record_attempts,
    release_claims,
)
from metering.operations.alerts.send_delivery import send_delivery
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.outbound.post import PostLimits, open_poster
from metering.storage.engine.commit_signal import on_deliveries_committed

_log = logging.getLogger(__name__)


class DispatchLimits(Struct, frozen=True):
    """Timing of the dispatcher in seconds, and how many deliveries are in progress.

    ``pause_seconds`` follows a failure. The lease must be longer than the longest attempt plus the time to record it.
    """

    poll_seconds: float = 0.25
    lease_seconds: int = 45
    grace_seconds: float = 3.0
    pause_seconds: float = 5.0
    concurrency: Concurrency = Concurrency()
    post: PostLimits = PostLimits()


class Dispatcher:
    """Dispatches from ``start`` to ``stop``. ``clock`` returns microseconds UTC."""

    def __init__(
        self,
        engine: Engine,
        settings: WebhookSettings,
        clock: Callable[[], int],
        limits: DispatchLimits = DispatchLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._limits = limits
        self._random = SystemRandom().random
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="dispatcher", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._stopping = False
        self._completed: list[CompletedAttempt] = []
        self._in_progress: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._failing = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Start sending, including deliveries that are already due."""
        self._unsubscribe = on_deliveries_committed(self._engine, self._wake)
        self._thread.start()

    def stop(self) -> None:
        """Claim no more, wait briefly for deliveries in progress, record their outcomes, and end."""
        self._unsubscribe()
        self._stopping = True
        self._wake()
        self._thread.join()

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._woken.set)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with open_poster() as client:
            while not self._stopping:
                self._woken.clear()
                if not await self._step(client):
                    await self._pause()
            await self._finish()

    async def _step(self, client: httpx.AsyncClient) -> bool:
        """Record completed attempts and claim due deliveries; return False if that failed."""
        completed, self._completed = self._completed, []
        in_progress = Counter(each.endpoint_id for each in self._in_progress.values())
        lease = self._limits.lease_seconds * MICROS_PER_SECOND
        limits = ClaimLimits(in_progress, self._limits.concurrency, self._clock(), lease)
        try:
            claimed = await asyncio.to_thread(dispatch, self._engine, self._settings.secret_keys, completed, limits)
        except Exception as error:
            if isinstance(error, OperationalError):
                self._completed = completed + self._completed  # recorded once the database is back
            # Other errors would repeat: the attempts are dropped, and their deliveries are sent again after the lease.
            self._log_failure(error)
            return False
        if self._failing:
            _log.warning("sending webhooks again")
            self._failing = False
        for each in claimed:
            task = asyncio.create_task(self._send(client, each))
            self._in_progress[task] = each
            task.add_done_callback(self._in_progress.pop)
        if not claimed and not self._completed:
            await self._wait(self._limits.poll_seconds)
        return True

    async def _send(self, client: httpx.AsyncClient, delivery: ClaimedDelivery) -> None:
        attempt = await send_delivery(
            client, delivery, guard=self._settings.guard, limits=self._limits.post, clock=self._clock, chance=self._random()
        )
        self._completed.append(attempt)
        self._woken.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _pause(self) -> None:
        """Wait after a failure, until the database is back or the operator has intervened."""
        end = asyncio.get_running_loop().time() + self._limits.pause_seconds
        while not self._stopping and (left := end - asyncio.get_running_loop().time()) > 0:
            self._woken.clear()
            await self._wait(left)

    async def _finish(self) -> None:
        tasks = list(self._in_progress)
        if tasks:
            await asyncio.wait(tasks, timeout=self._limits.grace_seconds)
        unfinished = {each.delivery_id for each in self._in_progress.values()}
        for task in list(self._in_progress):
            task.cancel()
        try:
            if self._completed:
                await asyncio.to_thread(record_attempts, self._engine, self._completed)
            if unfinished:
                await asyncio.to_thread(release_claims, self._engine, unfinished, now=self._clock())
        except Exception as error:
            self._log_failure(error)  # unrecorded deliveries are sent again

    def _log_failure(self, error: Exception) -> None:
        """Log the first of a series of failures."""
        if not self._failing:
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they may contain what a client sent
            _log.error("cannot send webhooks: %s: %s; will retry", type(error).__name__, error)
        self._failing = True
