"""Check whether events of ``unassigned`` are counted in an account already, by the same record or by another source's.

In the order that ingest uses: identity first (same content: counted already; other content: a conflict), then the IDs that
providers gave.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.usage.identity import CLAIM_WINDOW_MICROS
from metering.operations.usage.deduplicate import not_withdrawn
from metering.operations.usage.inspect_unassigned import UnassignedEvent
from metering.storage.charges.superseded_events import superseding_fingerprints
from metering.storage.usage.assigned_events import AssignedEvent
from metering.storage.usage.copies import copies_by_id
from metering.storage.usage.event_keys import Claimant, ClaimRow
from metering.storage.usage.event_rows import holder_among, identities_of_row
from metering.storage.usage.events import claimants_of, insert_identities, lock_claims, stored_identities
from metering.storage.usage.retired_months import retired_claimants


class AccountMatches(NamedTuple):
    """The events that can be assigned, by ID, each with the event it counts as, and the IDs of conflicts."""

    assigned: dict[int, AssignedEvent]
    conflicts: list[int]


def preview_matches(connection: Connection, account_id: int, candidates: Sequence[UnassignedEvent]) -> AccountMatches:
    """Match the events against what the account has counted, without claiming anything."""
    return _match(connection, account_id, candidates, _fingerprints(connection, candidates))


def claim_in_account(connection: Connection, account_id: int, candidates: Sequence[UnassignedEvent]) -> AccountMatches:
    """Claim the identities of the events in the account, and match them against what it has counted.

    Needs a write transaction. Another transaction that stores the same records or claims waits until this one ends.
    """
    fingerprints = _fingerprints(connection, candidates)
    rows = [(_identity(each, account_id), each.row.id, fingerprints[each.row.id]) for each in candidates]
    insert_identities(connection, sorted(rows))
    lock_claims(connection, _claims(candidates))
    return _match(connection, account_id, candidates, fingerprints)


def _match(
    connection: Connection, account_id: int, candidates: Sequence[UnassignedEvent], fingerprints: dict[int, int]
) -> AccountMatches:
    stored = stored_identities(connection, sorted(_identity(each, account_id) for each in candidates))
    copied = copies_by_id(connection, sorted({holder.event_id for holder in stored.values()}))
    claimants = _claimants(connection, candidates)
    matches = AccountMatches({}, [])
    for each in candidates:
        event_id = each.row.id
        holder = stored.get(_identity(each, account_id))
        if holder is None or holder.event_id == event_id:
            counted_as = _original(each, account_id, claimants) or event_id
            matches.assigned[event_id] = _assigned(each, account_id, counted_as, claims_identity=True)
        elif holder.fingerprint == fingerprints[event_id]:
            counted_as = copied.get(holder.event_id, holder.event_id)
            matches.assigned[event_id] = _assigned(each, account_id, counted_as, claims_identity=False)
        else:
            matches.conflicts.append(event_id)
    return matches


def _assigned(each: UnassignedEvent, account_id: int, counted_as: int, *, claims_identity: bool) -> AssignedEvent:
    return AssignedEvent(each.row.id, account_id, each.row.event_time, counted_as, claims_identity)


def _identity(each: UnassignedEvent, account_id: int) -> bytes:
    """Return the identity that an event claims in an account."""
    return identities_of_row(each.row, account_id)[0]


def _fingerprints(connection: Connection, candidates: Sequence[UnassignedEvent]) -> dict[int, int]:
    """Return the events' content digests, which are stored with their identities under ``unassigned``.

    An event that counts in the place of another one has no identity there; its digest is that of the record that it came with.
    """
    identities = {each.row.id: identities_of_row(each.row, UNASSIGNED_ID) for each in candidates}
    stored = stored_identities(connection, sorted(chain.from_iterable(identities.values())))
    found = {event_id: holder_among(stored, keys, event_id) for event_id, keys in identities.items()}
    own = {event_id: holder.fingerprint for event_id, holder in found.items() if holder and holder.event_id == event_id}
    others = [event_id for event_id in identities if event_id not in own]
    return own | superseding_fingerprints(connection, others)


def _claims(candidates: Sequence[UnassignedEvent]) -> list[ClaimRow]:
    return [(each.row.event_time // CLAIM_WINDOW_MICROS, claim, each.row.id) for each in candidates for claim in each.claims]


def _claimants(connection: Connection, candidates: Sequence[UnassignedEvent]) -> dict[int, list[Claimant]]:
    rows = _claims(candidates)
    if not rows:
        return {}
    times = [each.row.event_time for each in candidates if each.claims]
    window = min(times) - CLAIM_WINDOW_MICROS, max(times) + CLAIM_WINDOW_MICROS
    claimants = claimants_of(connection, rows, *window)
    for claim, retired in retired_claimants(connection, [claim for _, claim, _ in rows], *window).items():
        claimants[claim] = [*retired, *claimants.get(claim, ())]
    return not_withdrawn(connection, claimants)


def _original(each: UnassignedEvent, account_id: int, claimants: dict[int, list[Claimant]]) -> int | None:
    """Return the ID of the account's event that this one is a copy of; None if it is new."""
    for claim in each.claims:
        for claimant in claimants.get(claim, ()):
            apart = abs(claimant.event_time - each.row.event_time)
            if claimant.account_id == account_id and claimant.source_id != each.row.source_id and apart <= CLAIM_WINDOW_MICROS:
                return claimant.event_id
    return None
