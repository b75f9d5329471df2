"""A lock whose waiters get it in the order in which they came.

``threading.Lock`` is for whoever runs when it is let go: a thread that takes it again at once keeps it from all others.
"""

from collections import deque
from threading import Lock


class FifoLock:
    """One at a time, first come, first served."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    def take(self, seconds: float) -> bool:
        """Wait for a turn, and no longer than ``seconds``; return whether it came."""
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
                return True  # it came at the last moment
            self._waiting.remove(mine)
            return False

    def give_up(self) -> None:
        """End the turn: whoever waits longest has the next one."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
