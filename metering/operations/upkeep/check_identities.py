"""An event counts once: identities correspond one to one to events and copies.

An assigned event has a second identity, under its account, unless the account had already counted its record.
"""

from collections.abc import Iterator
from itertools import chain

from sqlalchemy import Connection

from metering.domain.usage.identity import CLAIM_WINDOW_MICROS
from metering.domain.violations import Violation
from metering.operations.upkeep.check_events import CHUNK
from metering.storage.charges.superseded_events import count_superseding
from metering.storage.usage.assigned_events import assigned_among, count_second_identities
from metering.storage.usage.copies import copies_after, count_identities, orphaned_identities
from metering.storage.usage.event_rows import holder_among, identities_of_row
from metering.storage.usage.events import stored_identities
from metering.storage.usage.retired_months import identities_of_retired

MAX_SHOWN = 100


def every_copy_has_its_identity(connection: Connection) -> Iterator[Violation]:
    """A copy has its identity, and is of an event of the same account, from another source, within an hour."""
    after = 0
    while rows := copies_after(connection, after=after, limit=CHUNK):
        identities = {row.id: identities_of_row(row, row.account_id) for row in rows}
        stored = stored_identities(connection, sorted(chain.from_iterable(identities.values())))
        assigned = assigned_among(connection, sorted({row.copy_of for row in rows}))
        for row in rows:
            holder = holder_among(stored, identities[row.id], row.id)
            if holder is None or holder.event_id != row.id:
                got = "none" if holder is None else f"event {holder.event_id}"
                message = f"the identity of copy {row.id} is missing or belongs to another record: it could be counted"
                yield Violation("identity_missing", f"copy {row.id}", f"copy {row.id}", got, message)
            apart = abs(row.event_time - row.original_time)
            owners = {row.original_account}
            if row.copy_of in assigned:
                owners.add(assigned[row.copy_of].account_id)
            if row.account_id not in owners or row.source_id == row.original_source or apart > CLAIM_WINDOW_MICROS:
                expected = "the same account, another source, within an hour"
                got = f"accounts {row.original_account} and {row.account_id}, {apart // 1_000_000} s apart"
                message = f"copy {row.id} cannot be a copy of event {row.copy_of}: it should have been counted"
                yield Violation("not_a_copy", f"copy {row.id}", expected, got, message)
        after = rows[-1].id


def every_identity_has_an_owner(connection: Connection) -> Iterator[Violation]:
    """There are as many identities as events and copies, stored or retired, plus the second ones of assigned events.

    An event that counts in the place of another one has no separate identity. An extra identity would keep an event from
    being counted.
    """
    identities, stored = count_identities(connection)
    retired, second = identities_of_retired(connection), count_second_identities(connection)
    superseding = count_superseding(connection)
    expected = stored + retired + second - superseding
    if identities == expected:
        return
    message = (
        f"{identities} identities for {stored} events and copies, {retired} retired and {second} assigned ones, less"
        f" {superseding} that count in the place of another"
    )
    yield Violation("identities_differ", "event_identities", str(expected), str(identities), message)
    if retired:
        return  # identities do not show which events are lost and which are retired
    for identity, event_id in orphaned_identities(connection, limit=MAX_SHOWN):
        where = f"identity {identity.hex()}"
        message = f"an identity belongs to event {event_id}, which is neither an event nor a copy: the event was lost"
        yield Violation("identity_unheld", where, f"event {event_id}", "none", message)
