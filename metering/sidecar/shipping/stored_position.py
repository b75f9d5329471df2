"""Up to which position of the journal everything is stored, for views of spend that must neither lack nor repeat an event."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_WAIT_SECONDS = 5.0


class StoredPosition:
    """Everything up to it is stored, and nothing after it. Used by the thread that stores and by one that reads.

    ``announced`` is the position that the writer of the journal last announced: what it had written by then is found by looking
    through the whole journal afterward.
    """

    def __init__(self) -> None:
        self.announced = 0
        self._position = 0
        self._is_exact = True
        self._lock = threading.Lock()

    @property
    def position(self) -> int:
        """The position now."""
        return self._position

    def advance(self, position: int) -> None:
        """Set the position, unless it is further already."""
        with self._lock:
            self._position = max(self._position, position)

    @contextmanager
    def advancing(self, position: int) -> Iterator[None]:
        """Advance to a position by what is done within; an error leaves open how much was stored, until more is."""
        with self._lock:
            self._is_exact = False
            yield
            self._is_exact = True
            self._position = max(self._position, position)

    @contextmanager
    def unchanged(self) -> Iterator[int | None]:
        """Keep the position from changing; give it, or None if it is not exact, or if storing takes too long."""
        if not self._lock.acquire(timeout=_WAIT_SECONDS):
            yield None
            return
        try:
            yield self._position if self._is_exact else None
        finally:
            self._lock.release()
