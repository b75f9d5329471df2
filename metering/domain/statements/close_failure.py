"""A month that is due and cannot be closed."""

from msgspec import Struct


class CloseFailure(Struct, frozen=True):
    """A month that was due and could not be closed, and why."""

    account_id: int
    account: str
    month: int
    code: str
    reason: str
