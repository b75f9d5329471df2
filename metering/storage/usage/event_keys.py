"""What makes an event count once: identities, and claims of provider response ids.

Each database keeps them in its own way: ``SqliteEventKeys`` and ``PostgresEventKeys``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, FromClause

IdentityRow = tuple[bytes, int, int]
"""An identity as it is written: the identity, the event's id, the fingerprint of its content."""

ClaimRow = tuple[int, int, int]
"""A claim as it is written: the hour of the event (since 1970), the claim, the event's id."""


class StoredIdentity(NamedTuple):
    """The event (or copy) that has an identity, and the fingerprint of its content."""

    event_id: int
    fingerprint: int


class Claimant(NamedTuple):
    """An event that claims a response id."""

    event_id: int
    account_id: int
    source_id: int
    event_time: int


class ReservedClaims(NamedTuple):
    """Claims that no other transaction can make until this one ends.

    ``known`` are the events that made them before, by claim. ``written`` is the event that each claim is already stored with,
    if any. ``settled``: all are written, and none was known.
    """

    known: dict[int, list[Claimant]]
    written: dict[int, int]
    settled: bool = False


NO_CLAIMS = ReservedClaims({}, {}, settled=True)


class EventKeys(ABC):
    """How a database keeps event ids, identities and claims. Needs a write transaction, except for reading."""

    @abstractmethod
    def reserve_event_ids(self, connection: Connection, count: int) -> int:
        """Return the first of ``count`` consecutive ids that no event and no copy has or will be given."""

    @abstractmethod
    def insert_identities(self, connection: Connection, rows: Sequence[IdentityRow]) -> int:
        """Write the rows, in key order, whose identity is not taken; return how many."""

    @abstractmethod
    def stored_identities(self, connection: Connection, identities: Sequence[bytes]) -> dict[bytes, StoredIdentity]:
        """Return the owners of those of the identities that are taken."""

    @abstractmethod
    def all_identities(self) -> FromClause:
        """Return all (identity, event_id, fingerprint), to select from."""

    @abstractmethod
    def reserve_claims(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> ReservedClaims:
        """Reserve the claims for this transaction, and return who made them before.

        Only events from ``start`` to ``end`` (inclusive) are returned: others cannot be originals.
        """

    @abstractmethod
    def lock_claims(self, connection: Connection, rows: Sequence[ClaimRow]) -> None:
        """Lock claims that exist, in their order, until the transaction ends; others that ask for them wait."""

    @abstractmethod
    def claimants_of(self, connection: Connection, rows: Sequence[ClaimRow], start: int, end: int) -> dict[int, list[Claimant]]:
        """Return the events from ``start`` to ``end`` (inclusive) that made the claims, by claim."""

    @abstractmethod
    def settle_claims(self, connection: Connection, reserved: ReservedClaims, rows: Sequence[ClaimRow]) -> None:
        """Store ``rows``, the claims of the events that count, in place of those that were only reserved."""
