"""Answers that a thread gives to whoever waits in an event loop, many with one wake-up.

Waking the loop costs as much as an answer. The thread puts its answers down and wakes the loop for the first of them; the loop
takes all that lie there by then.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class LoopBridge(Generic[T]):
    """The answers on their way to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._there: deque[tuple[asyncio.Future[T], T | Exception]] = deque()
        self._woken = False

    def expect(self) -> tuple["asyncio.Future[T]", Callable[[T | Exception], None]]:
        """Return what to await, and what a thread calls once with the answer, or with the error that is to be raised."""
        awaited: asyncio.Future[T] = self.loop.create_future()
        return awaited, partial(self._put, awaited)

    def _put(self, awaited: "asyncio.Future[T]", answer: T | Exception) -> None:
        self._there.append((awaited, answer))
        # Put down before it is asked whether the loop was woken: what the loop does not see any more wakes it again.
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._woken = False
        while self._there:
            awaited, answer = self._there.popleft()
            if awaited.done():
                continue  # whoever waited has gone away
            if isinstance(answer, Exception):
                awaited.set_exception(answer)
            else:
                awaited.set_result(answer)
