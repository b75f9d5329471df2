"""Whether events of ``unassigned`` count in an account already: it has the same record, or another source's of the request.

Identity first, as when events arrive: the same identity with the same content is counted already, with other content it is a
conflict. Then the ids that providers give.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.usage.identity import CLAIM_WINDOW_MICROS, identity_in_account
from metering.operations.usage.inspect_unassigned import UnassignedEvent
from metering.storage.usage.assigned_events import AssignedEvent
from metering.storage.usage.copies import copies_by_id
from metering.storage.usage.event_keys import Claimant, ClaimRow
from metering.storage.usage.events import claimants_of, insert_identities, lock_claims, stored_identities
from metering.storage.usage.retired_months import retired_claimants


class AccountMatches(NamedTuple):
    """Of the events that can be assigned, as what each counts in the account; and those that contradict what counts there."""

    assigned: dict[int, AssignedEvent]
    conflicts: list[int]


def preview_matches(connection: Connection, account_id: int, waiting: Sequence[UnassignedEvent]) -> AccountMatches:
    """Say as what the events count in the account, as far as can be seen now."""
    return _judge(connection, account_id, waiting, _fingerprints(connection, waiting))


def claim_in_account(connection: Connection, account_id: int, waiting: Sequence[UnassignedEvent]) -> AccountMatches:
    """Claim the identities of the events in the account, and say as what they count there.

    Needs a write transaction. Whoever stores the same records or claims waits until it ends, and then sees what was decided.
    """
    fingerprints = _fingerprints(connection, waiting)
    rows = [(_identity(each, account_id), each.row.id, fingerprints[each.row.id]) for each in waiting]
    insert_identities(connection, sorted(rows))
    lock_claims(connection, _claims(waiting))
    return _judge(connection, account_id, waiting, fingerprints)


def _judge(
    connection: Connection, account_id: int, waiting: Sequence[UnassignedEvent], fingerprints: dict[int, int]
) -> AccountMatches:
    stored = stored_identities(connection, sorted(_identity(each, account_id) for each in waiting))
    copied = copies_by_id(connection, sorted({holder.event_id for holder in stored.values()}))
    claimants = _claimants(connection, waiting)
    counted = AccountMatches({}, [])
    for each in waiting:
        event_id = each.row.id
        holder = stored.get(_identity(each, account_id))
        if holder is None or holder.event_id == event_id:
            counted_as = _original(each, account_id, claimants) or event_id
            counted.assigned[event_id] = _assigned(each, account_id, counted_as, claims_identity=True)
        elif holder.fingerprint == fingerprints[event_id]:
            counted_as = copied.get(holder.event_id, holder.event_id)
            counted.assigned[event_id] = _assigned(each, account_id, counted_as, claims_identity=False)
        else:
            counted.conflicts.append(event_id)
    return counted


def _assigned(each: UnassignedEvent, account_id: int, counted_as: int, *, claims_identity: bool) -> AssignedEvent:
    return AssignedEvent(each.row.id, account_id, each.row.event_time, counted_as, claims_identity)


def _identity(each: UnassignedEvent, account_id: int) -> bytes:
    return identity_in_account(each.row.source, each.row.external_id, account_id)


def _fingerprints(connection: Connection, waiting: Sequence[UnassignedEvent]) -> dict[int, int]:
    """Return the digests of the events' contents, which their first identities keep."""
    stored = stored_identities(connection, sorted(_identity(each, UNASSIGNED_ID) for each in waiting))
    return {each.row.id: stored[_identity(each, UNASSIGNED_ID)].fingerprint for each in waiting}


def _claims(waiting: Sequence[UnassignedEvent]) -> list[ClaimRow]:
    return [(each.row.event_time // CLAIM_WINDOW_MICROS, claim, each.row.id) for each in waiting for claim in each.claims]


def _claimants(connection: Connection, waiting: Sequence[UnassignedEvent]) -> dict[int, list[Claimant]]:
    rows = _claims(waiting)
    if not rows:
        return {}
    times = [each.row.event_time for each in waiting if each.claims]
    window = min(times) - CLAIM_WINDOW_MICROS, max(times) + CLAIM_WINDOW_MICROS
    found = claimants_of(connection, rows, *window)
    for claim, gone in retired_claimants(connection, [claim for _, claim, _ in rows], *window).items():
        found[claim] = [*gone, *found.get(claim, ())]
    return found


def _original(each: UnassignedEvent, account_id: int, claimants: dict[int, list[Claimant]]) -> int | None:
    """Return the account's event of which this is another source's record; None: there is none."""
    for claim in each.claims:
        for claimant in claimants.get(claim, ()):
            apart = abs(claimant.event_time - each.row.event_time)
            if claimant.account_id == account_id and claimant.source_id != each.row.source_id and apart <= CLAIM_WINDOW_MICROS:
                return claimant.event_id
    return None
