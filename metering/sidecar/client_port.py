"""What an exchange does with the connection of its client."""

from typing import Protocol


class ClientPort(Protocol):
    """The client's connection, as an exchange uses it."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def pause_reading(self) -> None:
        """Take no more of the request for now."""

    def resume_reading(self) -> None:
        """Take more of the request."""

    def exchange_done(self, *, keep_alive: bool) -> None:
        """The answer was sent whole."""

    def discard_rest(self) -> None:
        """The answer was sent before the whole request had arrived: take the rest for a while, then close."""

    def abort(self) -> None:
        """Close at once: the answer cannot be completed."""
