"""An event counts once: which records of a batch are new, and what the others repeat.

Identity first: the same identity with the same content is a duplicate, with other content a conflict. Then the ids that
providers give: another source's record of a counted event is a copy.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.batches import BatchEvent
from metering.domain.identity import CLAIM_WINDOW_MICROS, identities_of, identity_of
from metering.domain.outcomes import Outcome
from metering.operations.steps.place_events import Place
from metering.storage.events import (
    NO_CLAIMS,
    Claimant,
    HeldClaims,
    hold_claims,
    insert_identities,
    stored_identities,
    take_event_ids,
)
from metering.storage.retired_months import retired_claimants


class Repeat(NamedTuple):
    """What a record that does not count repeats: for a copy, ``event_id`` is the counted event's."""

    outcome: Outcome
    event_id: int


class Judgement(NamedTuple):
    """The record at position ``p`` has the id ``first_id + p``; it is a new event unless it is among the repeats.

    ``claims`` are those of all records that are no duplicates and no conflicts; they are settled when it is known who counts.
    ``retired`` are the ids of events that are copied and have left the log.
    """

    first_id: int
    repeats: dict[int, Repeat]
    claims: HeldClaims = NO_CLAIMS
    retired: frozenset[int] = frozenset()


def judge(connection: Connection, events: Sequence[BatchEvent], places: Sequence[Place]) -> Judgement:
    """Claim the identities of a batch, in the order of arrival among equals, and say which records repeat others.

    Needs a write transaction: what is judged new is taken from here on.
    """
    if not events:
        return Judgement(0, {})
    first_id = take_event_ids(connection, len(events))
    identities = _identities(events, places)
    fingerprints = [event.fingerprint for event in events]
    # By the key alone, which is cheaper than by the whole row; equal keys stay in the order of arrival.
    rows = sorted(zip(identities, range(first_id, first_id + len(events)), fingerprints, strict=True), key=itemgetter(0))
    new = insert_identities(connection, rows)
    repeats = {} if new == len(events) else _repeats(connection, events, identities, first_id)
    return _find_copies(connection, events, places, Judgement(first_id, repeats))


def _identities(events: Sequence[BatchEvent], places: Sequence[Place]) -> list[bytes]:
    masks = {place.identity_mask for place in places}
    if len(masks) == 1:
        return identities_of([event.digest for event in events], masks.pop())
    return [identity_of(event.digest, place.identity_mask) for event, place in zip(events, places, strict=True)]


def _repeats(connection: Connection, events: Sequence[BatchEvent], identities: list[bytes], first_id: int) -> dict[int, Repeat]:
    stored = stored_identities(connection, sorted(set(identities)))
    repeats = {}
    for position, (event, identity) in enumerate(zip(events, identities, strict=True)):
        holder = stored[identity]
        if holder.event_id != first_id + position:
            same = holder.fingerprint == event.fingerprint
            repeats[position] = Repeat(Outcome.DUPLICATE if same else Outcome.CONFLICT, holder.event_id)
    return repeats


def _find_copies(
    connection: Connection, events: Sequence[BatchEvent], places: Sequence[Place], judgement: Judgement
) -> Judgement:
    """Note the copies among the repeats; return the judgement with the claims, held."""
    first_id, repeats, *_ = judgement
    rows = [
        (event.time // CLAIM_WINDOW_MICROS, claim, event_id)
        for event_id, event in enumerate(events, first_id)
        if event.claims and event_id - first_id not in repeats
        for claim in event.claims
    ]
    if not rows:
        return judgement
    times = [events[event_id - first_id].time for *_, event_id in rows]
    window = min(times) - CLAIM_WINDOW_MICROS, max(times) + CLAIM_WINDOW_MICROS
    held = hold_claims(connection, rows, *window)
    gone = retired_claimants(connection, [claim for _, claim, _ in rows], *window)
    if gone:
        held = held._replace(known={claim: [*gone.get(claim, ()), *held.known.get(claim, ())] for claim in gone | held.known})
        held = held._replace(settled=False)
    judged = Judgement(first_id, repeats, held, frozenset(each.event_id for found in gone.values() for each in found))
    known = held.known
    if not known and len({place.source_id for place in places}) == 1:
        return judged
    for position, (event, place) in enumerate(zip(events, places, strict=True)):
        if position in repeats:
            continue
        original = _original(event, place, known)
        if original is not None:
            repeats[position] = Repeat(Outcome.COPY, original)
            continue
        claimant = Claimant(first_id + position, place.account_id, place.source_id, event.time)
        for claim in event.claims:
            known.setdefault(claim, []).append(claimant)
    return judged


def _original(event: BatchEvent, place: Place, known: dict[int, list[Claimant]]) -> int | None:
    for claim in event.claims:
        for claimant in known.get(claim, ()):
            if (
                claimant.account_id == place.account_id
                and claimant.source_id != place.source_id
                and abs(claimant.event_time - event.time) <= CLAIM_WINDOW_MICROS
            ):
                return claimant.event_id
    return None
