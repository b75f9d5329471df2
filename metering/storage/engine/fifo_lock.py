"""A lock whose waiters get it in the order of arrival.

``threading.Lock`` goes to whichever thread runs when it is released: one that takes it again at once starves all others.
"""

from collections import deque
from threading import Lock


class FifoLock:
    """A lock for one holder at a time, first come, first served."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    def acquire(self, seconds: float) -> bool:
        """Wait for the lock, at most ``seconds``; return whether it was acquired."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            mine = Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=seconds):
            return True
        with self._guard:
            if mine not in self._waiting:
                return True  # it was handed over at the last moment
            self._waiting.remove(mine)
            return False

    def release(self) -> None:
        """Release the lock: the longest waiter gets it."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
