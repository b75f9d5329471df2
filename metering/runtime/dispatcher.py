"""Sends what the outbox holds: within milliseconds of what this process wrote, within a quarter of a second of what others did.

One thread runs an event loop: many requests are under way at once, few of them to one endpoint, so that a receiver that is slow
delays nobody but itself. Any process on the database may dispatch; each takes other deliveries. What is under way when the
process ends is sent again by whoever comes next.
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
    Attempt,
    ClaimedDelivery,
    ClaimLimits,
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
    """How often the outbox is looked at, for how long a delivery is taken, how many are under way. Seconds.

    The lease is longer than the longest attempt, by what recording it may take.
    """

    poll_seconds: float = 0.25
    lease_seconds: int = 45
    grace_seconds: float = 3.0
    pause_seconds: float = 5.0
    room: Concurrency = Concurrency()
    post: PostLimits = PostLimits()


class Dispatcher:
    """Dispatches from ``start`` to ``stop``. ``clock`` gives microseconds since 1970, UTC."""

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
        self._chance = SystemRandom().random
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="dispatcher", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._ended: list[Attempt] = []
        self._under_way: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._failing = False
        self._unlisten: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to send, with what is due already."""
        self._unlisten = on_deliveries_committed(self._engine, self._tell)
        self._thread.start()

    def stop(self) -> None:
        """Take no more, give what is under way a moment, record what came of it, and end."""
        self._unlisten()
        self._stopping = True
        self._tell()
        self._thread.join()

    def _tell(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with open_poster() as client:
            while not self._stopping:
                self._wake.clear()
                if not await self._step(client):
                    await self._pause()
            await self._finish()

    async def _step(self, client: httpx.AsyncClient) -> bool:
        """Record what has ended and take what is due; return whether the outbox did its part."""
        ended, self._ended = self._ended, []
        under_way = Counter(each.endpoint_id for each in self._under_way.values())
        asked = ClaimLimits(under_way, self._limits.room, self._clock(), self._limits.lease_seconds * MICROS_PER_SECOND)
        try:
            taken = await asyncio.to_thread(dispatch, self._engine, self._settings.secret_keys, ended, asked)
        except Exception as error:
            if isinstance(error, OperationalError):
                self._ended = ended + self._ended  # recorded once the database answers
            # Else they can not be recorded: not to be held up by them, they are sent again after their lease.
            self._say(error)
            return False
        if self._failing:
            _log.warning("webhooks are sent again")
            self._failing = False
        for each in taken:
            task = asyncio.create_task(self._send(client, each))
            self._under_way[task] = each
            task.add_done_callback(self._under_way.pop)
        if not taken and not self._ended:
            await self._wait(self._limits.poll_seconds)
        return True

    async def _send(self, client: httpx.AsyncClient, each: ClaimedDelivery) -> None:
        attempt = await send_delivery(
            client, each, guard=self._settings.guard, limits=self._limits.post, clock=self._clock, chance=self._chance()
        )
        self._ended.append(attempt)
        self._wake.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _pause(self) -> None:
        """Let the database, or the operator, come back."""
        end = asyncio.get_running_loop().time() + self._limits.pause_seconds
        while not self._stopping and (left := end - asyncio.get_running_loop().time()) > 0:
            self._wake.clear()
            await self._wait(left)

    async def _finish(self) -> None:
        tasks = list(self._under_way)
        if tasks:
            await asyncio.wait(tasks, timeout=self._limits.grace_seconds)
        left = {each.delivery_id for each in self._under_way.values()}
        for task in list(self._under_way):
            task.cancel()
        try:
            if self._ended:
                await asyncio.to_thread(record_attempts, self._engine, self._ended)
            if left:
                await asyncio.to_thread(release_claims, self._engine, left, now=self._clock())
        except Exception as error:
            self._say(error)  # what is not recorded is sent again

    def _say(self, error: Exception) -> None:
        """Say once that webhooks are not sent, until they are again."""
        if not self._failing:
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they may be what somebody sent
            _log.error("webhooks are not sent: %s: %s; it is tried again", type(error).__name__, error)
        self._failing = True
