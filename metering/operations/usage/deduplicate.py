"""Find which records of a batch are new and which repeat others, so that an event counts once.

Identity comes first: the same identity with the same content is a duplicate. With different content it is a conflict until
``settle_repeats`` has compared the two. Then the IDs that providers give: another source's record of a counted event is a copy.
"""

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.usage.batch_events import BatchEvents
from metering.domain.usage.identity import CLAIM_WINDOW_MICROS, identities_of, identity_of, record_digest
from metering.domain.usage.outcomes import Outcome
from metering.operations.steps.event_contexts import EventContext
from metering.storage.charges.superseded_events import heads_of
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
    """The outcome of a record that does not count, and the event it repeats; for a copy, the counted event."""

    outcome: Outcome
    event_id: int


class Deduplication(NamedTuple):
    """Which records of a batch are repeats. The record at position ``p`` has the ID ``first_id + p``.

    ``claims`` are those of all records that are neither duplicates nor conflicts; they are settled once it is known which
    records count. ``claim_rows`` are the rows of those claims, in the order of the records. ``retired`` are the IDs of retired
    events that records are copies of.
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
        first_id, repeats = self.first_id, self.repeats
        return [(hour, claim, event_id) for hour, claim, event_id in self.claim_rows if event_id - first_id not in repeats]


def deduplicate(connection: Connection, events: BatchEvents, contexts: Sequence[EventContext]) -> Deduplication:
    """Claim the identities of a batch, in order of arrival among equal ones, and return which records are repeats.

    Needs a write transaction, which holds the identities of new records from here on.
    """
    if not len(events):
        return Deduplication(0, {})
    first_id = reserve_event_ids(connection, len(events))
    _keep_older_identities(connection, events, contexts)
    identities = _identities(events, contexts)
    # Sorting by the key alone is cheaper than by the whole row; equal keys stay in order of arrival.
    rows = sorted(zip(identities, range(first_id, first_id + len(events)), events.fingerprints, strict=True), key=itemgetter(0))
    new = insert_identities(connection, rows)
    repeats = {} if new == len(events) else _repeats(connection, events, identities, first_id)
    return find_copies(connection, events, contexts, Deduplication(first_id, repeats))


def _keep_older_identities(connection: Connection, events: BatchEvents, contexts: Sequence[EventContext]) -> None:
    """Let records that an earlier release stored under the ID of their response repeat those events.

    Only where the content is the same, and only for sources that had events then.
    """
    if not any(context.source.by_response_id_through for context in set(contexts)):
        return
    digests = {}
    for position, (context, event_id, response_id) in enumerate(zip(contexts, events.ids, events.response_ids, strict=True)):
        if context.source.by_response_id_through and response_id not in ("", event_id):
            digests[position] = record_digest(context.source.name, response_id)
    identities = {position: identity_of(digest, contexts[position].identity_mask) for position, digest in digests.items()}
    stored = stored_identities(connection, sorted(set(identities.values()))) if identities else {}
    for position, identity in identities.items():
        holder = stored.get(identity)
        through = contexts[position].source.by_response_id_through
        if holder is not None and holder.event_id <= through and holder.fingerprint == events.fingerprints[position]:
            events.digests[position] = digests[position]


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


def find_copies(
    connection: Connection,
    events: BatchEvents,
    contexts: Sequence[EventContext],
    dedup: Deduplication,
    replaced: Sequence[int] | None = None,
) -> Deduplication:
    """Return the deduplication with its claims reserved and copies added to the repeats. Needs a write transaction.

    ``replaced`` are the events that the records count in the place of; a record is no copy of what it replaces.
    """
    rows = _claim_rows(events, dedup)
    if not rows:
        return dedup
    window = min(events.times) - CLAIM_WINDOW_MICROS, max(events.times) + CLAIM_WINDOW_MICROS
    claims = reserve_claims(connection, rows, *window)
    retired_by_claim = retired_claimants(connection, [claim for _, claim, _ in rows], *window)
    if retired_by_claim:
        known = {
            claim: [*retired_by_claim.get(claim, ()), *claims.known.get(claim, ())] for claim in retired_by_claim | claims.known
        }
        claims = claims._replace(known=known, settled=False)
    retired = frozenset(each.event_id for claimants in retired_by_claim.values() for each in claimants)
    claims = claims._replace(known=not_withdrawn(connection, claims.known))
    dedup = dedup._replace(claims=claims, claim_rows=rows, retired=retired)
    if claims.known or len({context.source_id for context in set(contexts)}) > 1:
        known = claims.known
        excluded = None if replaced is None else _chains(connection, known, replaced)
        _add_copies(events, contexts, dedup, known, excluded)
    return dedup


def not_withdrawn(connection: Connection, known: dict[int, list[Claimant]]) -> dict[int, list[Claimant]]:
    """Return the claims without those of events that neither count nor are counted as another event."""
    heads = heads_of(connection, sorted({each.event_id for claimants in known.values() for each in claimants}))
    withdrawn = {event_id for event_id, head in heads.items() if head.withdrawn}
    if not withdrawn:
        return known
    kept = {claim: [each for each in claimants if each.event_id not in withdrawn] for claim, claimants in known.items()}
    return {claim: claimants for claim, claimants in kept.items() if claimants}


def _chains(connection: Connection, known: dict[int, list[Claimant]], replaced: Sequence[int]) -> list[set[int]]:
    """Return, for each event that is replaced, the claimants that are counted as it."""
    claimants = sorted({each.event_id for found in known.values() for each in found})
    chains: dict[int, set[int]] = {}
    for event_id, head in heads_of(connection, claimants).items():
        chains.setdefault(head.event_id, set()).add(event_id)
    return [chains.get(event_id, set()) for event_id in replaced]


def _claim_rows(events: BatchEvents, dedup: Deduplication) -> list[ClaimRow]:
    """Return the claims of the events that are not repeats."""
    first_id, repeats = dedup.first_id, dedup.repeats
    return [
        (time // CLAIM_WINDOW_MICROS, claim, event_id)
        for event_id, (time, claims) in enumerate(zip(events.times, events.claims, strict=True), first_id)
        if claims and event_id - first_id not in repeats
        for claim in claims
    ]


def _add_copies(
    events: BatchEvents,
    contexts: Sequence[EventContext],
    dedup: Deduplication,
    known: dict[int, list[Claimant]],
    excluded: Sequence[set[int]] | None,
) -> None:
    """Add copies of another source's events to the repeats. The claims of each new event become known to those after it."""
    for position, (time, claims, context) in enumerate(zip(events.times, events.claims, contexts, strict=True)):
        if position in dedup.repeats:
            continue
        claimant = Claimant(dedup.first_id + position, context.account_id, context.source_id, time)
        original = _original(claimant, claims, known, set() if excluded is None else excluded[position])
        if original is not None:
            dedup.repeats[position] = Repeat(Outcome.COPY, original)
            continue
        for claim in claims:
            known.setdefault(claim, []).append(claimant)


def _original(
    claimant: Claimant, claims: Sequence[int], known: dict[int, list[Claimant]], excluded: Collection[int]
) -> int | None:
    """Return the ID of the event that a record is a copy of: one of another source with one of its claims."""
    for claim in claims:
        for other in known.get(claim, ()):
            if (
                other.account_id == claimant.account_id
                and other.source_id != claimant.source_id
                and other.event_id not in excluded
                and abs(other.event_time - claimant.event_time) <= CLAIM_WINDOW_MICROS
            ):
                return other.event_id
    return None
