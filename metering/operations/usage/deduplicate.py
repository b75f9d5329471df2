"""An event counts once: which records of a batch are new, and what the others repeat.

Identity first: the same identity with the same content is a duplicate, with other content a conflict. Then the ids that
providers give: another source's record of a counted event is a copy.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.usage.batch_events import BatchEvents
from metering.domain.usage.identity import CLAIM_WINDOW_MICROS, identities_of, identity_of
from metering.domain.usage.outcomes import Outcome
from metering.operations.steps.event_contexts import EventContext
from metering.storage.usage.events import (
    NO_CLAIMS,
    Claimant,
    ClaimRow,
    ReservedClaims,
    insert_identities,
    reserve_claims,
    reserve_event_ids,
    stored_identities,
)
from metering.storage.usage.retired_months import retired_claimants


class Repeat(NamedTuple):
    """What a record that does not count repeats: for a copy, ``event_id`` is the counted event's."""

    outcome: Outcome
    event_id: int


class Deduplication(NamedTuple):
    """The record at position ``p`` has the id ``first_id + p``; it is a new event unless it is among the repeats.

    ``claims`` are those of all records that are no duplicates and no conflicts; they are settled when it is known who counts.
    ``claim_rows`` are the rows of those claims, in the order of the records. ``retired`` are the ids of events that are copied
    and have left the log.
    """

    first_id: int
    repeats: dict[int, Repeat]
    claims: ReservedClaims = NO_CLAIMS
    claim_rows: Sequence[ClaimRow] = ()
    retired: frozenset[int] = frozenset()

    def rows_of_new(self) -> Sequence[ClaimRow]:
        """Return the rows of the claims of new events."""
        if not self.repeats:
            return self.claim_rows
        return [row for row in self.claim_rows if row[-1] - self.first_id not in self.repeats]


def deduplicate(connection: Connection, events: BatchEvents, contexts: Sequence[EventContext]) -> Deduplication:
    """Claim the identities of a batch, in the order of arrival among equals, and say which records repeat others.

    Needs a write transaction: what is judged new is taken from here on.
    """
    if not len(events):
        return Deduplication(0, {})
    first_id = reserve_event_ids(connection, len(events))
    identities = _identities(events, contexts)
    # By the key alone, which is cheaper than by the whole row; equal keys stay in the order of arrival.
    rows = sorted(zip(identities, range(first_id, first_id + len(events)), events.fingerprints, strict=True), key=itemgetter(0))
    new = insert_identities(connection, rows)
    repeats = {} if new == len(events) else _repeats(connection, events, identities, first_id)
    return _find_copies(connection, events, contexts, Deduplication(first_id, repeats))


def _identities(events: BatchEvents, contexts: Sequence[EventContext]) -> list[bytes]:
    masks = {context.identity_mask for context in set(contexts)}
    if len(masks) == 1:
        return identities_of(events.digests, masks.pop())
    return [identity_of(digest, context.identity_mask) for digest, context in zip(events.digests, contexts, strict=True)]


def _repeats(connection: Connection, events: BatchEvents, identities: list[bytes], first_id: int) -> dict[int, Repeat]:
    stored = stored_identities(connection, sorted(set(identities)))
    repeats = {}
    for position, (fingerprint, identity) in enumerate(zip(events.fingerprints, identities, strict=True)):
        holder = stored[identity]
        if holder.event_id != first_id + position:
            outcome = Outcome.DUPLICATE if holder.fingerprint == fingerprint else Outcome.CONFLICT
            repeats[position] = Repeat(outcome, holder.event_id)
    return repeats


def _find_copies(
    connection: Connection, events: BatchEvents, contexts: Sequence[EventContext], dedup: Deduplication
) -> Deduplication:
    """Note the copies among the repeats; return the judgement with the claims, held."""
    rows = _claim_rows(events, dedup)
    if not rows:
        return dedup
    window = min(events.times) - CLAIM_WINDOW_MICROS, max(events.times) + CLAIM_WINDOW_MICROS
    held = reserve_claims(connection, rows, *window)
    gone = retired_claimants(connection, [claim for _, claim, _ in rows], *window)
    if gone:
        held = held._replace(known={claim: [*gone.get(claim, ()), *held.known.get(claim, ())] for claim in gone | held.known})
        held = held._replace(settled=False)
    retired = frozenset(each.event_id for found in gone.values() for each in found)
    dedup = dedup._replace(claims=held, claim_rows=rows, retired=retired)
    known = held.known
    if known or len({context.source_id for context in set(contexts)}) > 1:
        _add_copies(events, contexts, dedup, known)
    return dedup


def _claim_rows(events: BatchEvents, dedup: Deduplication) -> list[ClaimRow]:
    """Return the claims of the events that are no repeats."""
    first_id, repeats, *_ = dedup
    return [
        (time // CLAIM_WINDOW_MICROS, claim, event_id)
        for event_id, (time, claims) in enumerate(zip(events.times, events.claims, strict=True), first_id)
        if claims and event_id - first_id not in repeats
        for claim in claims
    ]


def _add_copies(
    events: BatchEvents, contexts: Sequence[EventContext], dedup: Deduplication, known: dict[int, list[Claimant]]
) -> None:
    """Add the records that repeat an event of another source to the repeats; what counts becomes known on the way."""
    for position, (time, claims, context) in enumerate(zip(events.times, events.claims, contexts, strict=True)):
        if position in dedup.repeats:
            continue
        claimant = Claimant(dedup.first_id + position, context.account_id, context.source_id, time)
        original = _original(claimant, claims, known)
        if original is not None:
            dedup.repeats[position] = Repeat(Outcome.COPY, original)
            continue
        for claim in claims:
            known.setdefault(claim, []).append(claimant)


def _original(claimant: Claimant, claims: Sequence[int], known: dict[int, list[Claimant]]) -> int | None:
    """Return the event that a record is a copy of, which is the one that made one of its claims elsewhere."""
    for claim in claims:
        for other in known.get(claim, ()):
            if (
                other.account_id == claimant.account_id
                and other.source_id != claimant.source_id
                and abs(other.event_time - claimant.event_time) <= CLAIM_WINDOW_MICROS
            ):
                return other.event_id
    return None
