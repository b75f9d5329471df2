"""A month that was due but could not be closed."""

from msgspec import Struct


class CloseFailure(Struct, frozen=True):
    """An account's month that stays open; ``code`` is stable, ``reason`` is for people."""

    account_id: int
    account: str
    month: int
    code: str
    reason: str
