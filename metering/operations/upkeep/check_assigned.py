"""Assigned events count once, in their account: under the account's identity, with a charge in the account's series."""

from collections.abc import Iterator
from itertools import chain

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.instants import month_of
from metering.domain.violations import Violation
from metering.operations.upkeep.check_events import CHUNK
from metering.storage.charges.charges import later_entries
from metering.storage.charges.superseded_events import heads_of
from metering.storage.usage.assigned_events import AssignedEvent, assigned_after
from metering.storage.usage.copies import copies_by_id
from metering.storage.usage.event_keys import StoredIdentity
from metering.storage.usage.event_rows import EventRow, events_by_id, holder_among, identities_of_row
from metering.storage.usage.events import stored_identities
from metering.storage.usage.retired_months import retired_events
from metering.storage.usage.series import series_by_id


def assigned_events_count_once(connection: Connection) -> Iterator[Violation]:
    """Each assigned event was an event of ``unassigned``, or is retired; its newest charge is its account's, or is reversed.

    Its second identity, with the digest of its first, belongs to the event itself or to the event that counts for it. If that
    event was matched by an ID of the provider, both identities are its own.
    """
    retired, after = retired_events(connection), 0
    while rows := assigned_after(connection, after=after, limit=CHUNK):
        found = {row.id: row for row in events_by_id(connection, [row.event_id for row in rows])}
        for each in rows:
            if each.event_id not in found and month_of(each.event_time) not in retired:
                yield _violation("assigned_missing", each, "an event", "none", "is not in the log and was not retired")
        stored = [(each, found[each.event_id]) for each in rows if each.event_id in found]
        yield from _have_identities(connection, stored)
        yield from _have_moved(connection, stored)
        after = rows[-1].event_id


def _have_identities(connection: Connection, rows: list[tuple[AssignedEvent, EventRow]]) -> Iterator[Violation]:
    first, second = ({each.event_id: _identities(each, row, own=own) for each, row in rows} for own in (False, True))
    stored = stored_identities(connection, sorted({*chain.from_iterable((*first.values(), *second.values()))}))
    copied = copies_by_id(connection, sorted({holder.event_id for holder in stored.values()}))
    for each, row in rows:
        if row.account_id != UNASSIGNED_ID or row.event_time != each.event_time:
            expected_owner, got = f"account {UNASSIGNED_ID}, {each.event_time}", f"account {row.account_id}, {row.event_time}"
            yield _violation("assigned_differs", each, expected_owner, got, "was never unassigned")
        holder = holder_among(stored, second[each.event_id], each.event_id)
        expected = each.event_id if each.claims_identity else each.counted_as
        if holder is None or (_counted_event(holder, copied, each) != expected and not _was_retired(connection, holder)):
            got = "none" if holder is None else f"event {holder.event_id}"
            yield _violation("identity_missing", each, f"event {expected}", got, "could be counted again in its account")
            continue
        own = holder_among(stored, first[each.event_id], each.event_id)
        if own is not None and own.event_id == each.event_id and own.fingerprint != holder.fingerprint:
            problem = "has an identity with a different content digest"
            yield _violation("content_differs", each, str(own.fingerprint), str(holder.fingerprint), problem)


def _identities(each: AssignedEvent, row: EventRow, *, own: bool) -> list[bytes]:
    return identities_of_row(row, each.account_id if own else row.account_id)


def _counted_event(holder: StoredIdentity, copied: dict[int, int], each: AssignedEvent) -> int:
    return holder.event_id if each.claims_identity else copied.get(holder.event_id, holder.event_id)


def _was_retired(connection: Connection, holder: StoredIdentity) -> bool:
    """Whether the event or copy of an identity has left the log: of a retired copy, its original is no longer known."""
    if not retired_events(connection):
        return False
    return not events_by_id(connection, [holder.event_id]) and not copies_by_id(connection, [holder.event_id])


def _have_moved(connection: Connection, rows: list[tuple[AssignedEvent, EventRow]]) -> Iterator[Violation]:
    later = later_entries(connection, [each.event_id for each, _ in rows])
    owners = series_by_id(connection, {entries[-1].series_id for entries in later.values()})
    superseded = heads_of(connection, [each.event_id for each, _ in rows])
    for each, _ in rows:
        newest = later[each.event_id][-1] if each.event_id in later else None
        owner = UNASSIGNED_ID if newest is None else owners[newest.series_id].account_id
        ends_reversed = newest is not None and newest.sign < 0 and each.event_id not in superseded
        if each.is_counted and (newest is None or ends_reversed or owner != each.account_id):
            problem = "has no charge in the account that it was assigned to"
            yield _violation("not_moved", each, f"account {each.account_id}", f"account {owner}", problem)
        if not each.is_counted and (newest is None or newest.sign > 0):
            problem = "counts in addition to the event that its account had already counted"
            yield _violation("not_taken_back", each, "a reversal", "a charge", problem)


def _violation(code: str, each: AssignedEvent, expected: str, got: str, problem: str) -> Violation:
    message = f"event {each.event_id}, assigned to account {each.account_id}, {problem}"
    return Violation(code, f"event {each.event_id}", expected, got, message)
