"""Pass results from a thread to futures of an event loop, many with one wake-up.

Waking the loop takes as long as delivering a result. The thread queues its results and wakes the loop for the first; the loop
then delivers all that are queued.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class LoopBridge(Generic[T]):
    """The results on their way to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._queue: deque[tuple[asyncio.Future[T], T | Exception]] = deque()
        self._woken = False

    def new_future(self) -> tuple["asyncio.Future[T]", Callable[[T | Exception], None]]:
        """Return a future, and the function that a thread calls once with its result or its exception."""
        future: asyncio.Future[T] = self.loop.create_future()
        return future, partial(self._put, future)

    def _put(self, future: "asyncio.Future[T]", result: T | Exception) -> None:
        # Queue before checking: a result that the loop does not see any more must wake it again.
        self._queue.append((future, result))
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed, so no result is awaited
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._queue:
            future, result = self._queue.popleft()
            if future.done():
                continue  # canceled
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
