"""Events that were assigned count once, in their account: under the account's identity, with a charge in its series."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.instants import month_of
from metering.domain.usage.identity import identity_in_account
from metering.domain.violations import Violation
from metering.operations.upkeep.check_events import CHUNK
from metering.storage.charges.charges import later_entries
from metering.storage.usage.assigned_events import AssignedEvent, assigned_after
from metering.storage.usage.copies import copies_by_id
from metering.storage.usage.event_keys import StoredIdentity
from metering.storage.usage.event_rows import EventRow, events_by_id
from metering.storage.usage.events import stored_identities
from metering.storage.usage.retired_months import retired_events
from metering.storage.usage.series import series_by_id


def assigned_events_count_once(connection: Connection) -> Iterator[Violation]:
    """Each is an event of ``unassigned``, or was retired, and has left it: its newest charge is its account's, or taken back.

    Under its second identity, with the digest of its first, stands the event itself or the one that counts for it. Where that
    one knows it by an id of the provider, both identities are its own.
    """
    retired, after = retired_events(connection), 0
    while rows := assigned_after(connection, after=after, limit=CHUNK):
        found = {row.id: row for row in events_by_id(connection, [row.event_id for row in rows])}
        for each in rows:
            if each.event_id not in found and month_of(each.event_time) not in retired:
                yield _violation("assigned_missing", each, "an event", "none", "is not in the log and was not retired")
        there = [(each, found[each.event_id]) for each in rows if each.event_id in found]
        yield from _are_identified(connection, there)
        yield from _have_moved(connection, there)
        after = rows[-1].event_id


def _are_identified(connection: Connection, rows: list[tuple[AssignedEvent, EventRow]]) -> Iterator[Violation]:
    first, second = ({each.event_id: _identity(each, row, own=own) for each, row in rows} for own in (False, True))
    stored = stored_identities(connection, sorted({*first.values(), *second.values()}))
    copied = copies_by_id(connection, sorted({holder.event_id for holder in stored.values()}))
    for each, row in rows:
        if row.account_id != UNASSIGNED_ID or row.event_time != each.event_time:
            got = f"account {row.account_id}, {row.event_time}"
            yield _violation(
                "assigned_differs", each, f"account {UNASSIGNED_ID}, {each.event_time}", got, "was never unassigned"
            )
        holder = stored.get(second[each.event_id])
        expected = each.event_id if each.claims_identity else each.counted_as
        if holder is None or (_stands_for(holder, copied, each) != expected and not _is_gone(connection, holder)):
            got = "none" if holder is None else f"event {holder.event_id}"
            yield _violation("identity_missing", each, f"event {expected}", got, "could be counted again in its account")
            continue
        own = stored.get(first[each.event_id])
        if own is not None and own.fingerprint != holder.fingerprint:
            told = "does not have the content that counts for it"
            yield _violation("content_differs", each, str(own.fingerprint), str(holder.fingerprint), told)


def _identity(each: AssignedEvent, row: EventRow, *, own: bool) -> bytes:
    return identity_in_account(row.source, row.external_id, each.account_id if own else row.account_id)


def _stands_for(holder: StoredIdentity, copied: dict[int, int], each: AssignedEvent) -> int:
    return holder.event_id if each.claims_identity else copied.get(holder.event_id, holder.event_id)


def _is_gone(connection: Connection, holder: StoredIdentity) -> bool:
    """Whether what an identity names has left the log: of a copy it can not be told any more what it was a copy of."""
    if not retired_events(connection):
        return False
    return not events_by_id(connection, [holder.event_id]) and not copies_by_id(connection, [holder.event_id])


def _have_moved(connection: Connection, rows: list[tuple[AssignedEvent, EventRow]]) -> Iterator[Violation]:
    later = later_entries(connection, [each.event_id for each, _ in rows])
    owners = series_by_id(connection, {entries[-1].series_id for entries in later.values()})
    for each, _ in rows:
        newest = later[each.event_id][-1] if each.event_id in later else None
        owner = UNASSIGNED_ID if newest is None else owners[newest.series_id].account_id
        if each.is_counted and (newest is None or newest.sign < 0 or owner != each.account_id):
            told = "has no charge in the account that it was assigned to"
            yield _violation("not_moved", each, f"account {each.account_id}", f"account {owner}", told)
        if not each.is_counted and (newest is None or newest.sign > 0):
            told = "counts beside the event that its account had counted before"
            yield _violation("not_taken_back", each, "a reversal", "a charge that holds", told)


def _violation(code: str, each: AssignedEvent, expected: str, got: str, told: str) -> Violation:
    message = f"event {each.event_id}, assigned to account {each.account_id}, {told}"
    return Violation(code, f"event {each.event_id}", expected, got, message)
