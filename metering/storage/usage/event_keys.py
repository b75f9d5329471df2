"""What makes an event count once: the values that both databases' ways of keeping them speak of."""

from typing import NamedTuple


class StoredIdentity(NamedTuple):
    """An identity that is taken: by which content and which event (or copy)."""

    event_id: int
    fingerprint: int


ClaimRow = tuple[int, int, int]
"""A claim as it is written: the hour of the event (since 1970), the claim, the event's id."""


class Claimant(NamedTuple):
    """An event that claims a response id."""

    event_id: int
    account_id: int
    source_id: int
    event_time: int


class ReservedClaims(NamedTuple):
    """Claims that nobody else can make until the transaction ends.

    ``known`` are the events that made them before, by claim; ``written`` the event that each stands with already, where that
    is so; ``settled``: all are written and none was known.
    """

    known: dict[int, list[Claimant]]
    written: dict[int, int]
    settled: bool = False


NO_CLAIMS = ReservedClaims({}, {}, settled=True)
