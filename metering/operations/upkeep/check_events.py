"""Invariants of single events: identity, content digest, failure.

Each invariant is a function over a chunk of events; ``over_events`` applies them to all events in bounded memory.
"""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from metering.domain.usage.charging import succeeded
from metering.domain.usage.events import PriceGrade
from metering.domain.usage.identity import fingerprint_of, identity_in_account
from metering.domain.violations import Violation
from metering.operations.upkeep.check_sums import Step
from metering.storage.charges.superseded_events import superseding_among
from metering.storage.usage.event_rows import EventRow, count_events, event_rows, usage_event
from metering.storage.usage.events import stored_identities

CHUNK = 5_000

Invariant = Callable[[Connection, Sequence[EventRow]], Iterator[Violation]]


def over_events(connection: Connection, step: Step, *invariants: Invariant) -> Iterator[Violation]:
    """Yield the violations of the invariants over all events, in chunks by event ID."""
    total, done, after = count_events(connection), 0, 0
    while rows := event_rows(connection, after=after, limit=CHUNK):
        for invariant in invariants:
            yield from invariant(connection, rows)
        after = rows[-1].id
        done += len(rows)
        step(done, total)


def every_event_has_its_identity(connection: Connection, rows: Sequence[EventRow]) -> Iterator[Violation]:
    """The identity made of account, source and external ID belongs to this event, with the digest of its content.

    An event that counts in the place of another one leaves the identity with that one.
    """
    superseding = superseding_among(connection, [row.id for row in rows])
    rows = [row for row in rows if row.id not in superseding]
    identities = {row.id: identity_in_account(row.source, row.external_id, row.account_id) for row in rows}
    stored = stored_identities(connection, sorted(identities.values()))
    for row in rows:
        holder = stored.get(identities[row.id])
        if holder is None or holder.event_id != row.id:
            got = "none" if holder is None else f"event {holder.event_id}"
            message = f"the identity of event {row.id} is missing or belongs to another event: it could be counted again"
            yield _violation("identity_missing", row, f"event {row.id}", got, message)
        elif not _has_digest(row, holder.fingerprint):
            expected = str(fingerprint_of(usage_event(row, row.route)))
            message = f"the content of event {row.id} does not match the digest that was stored with it"
            yield _violation("content_differs", row, expected, str(holder.fingerprint), message)


def failed_events_cost_nothing(_: Connection, rows: Sequence[EventRow]) -> Iterator[Violation]:
    """A failed request is exempt and costs nothing; a successful one is not exempt."""
    for row in rows:
        answered = 200 <= row.status < 400 if row.status else succeeded(usage_event(row, row.route))
        if (row.price_grade == PriceGrade.EXEMPT) == answered or (not answered and row.charge_nano != 0):
            expected = "a charge" if answered else "exempt, 0"
            got = f"{PriceGrade(row.price_grade).name.lower()}, {row.charge_nano}"
            message = f"event {row.id} {'succeeded and is exempt' if answered else 'failed and is not exempt'}"
            yield _violation("failure_charged", row, expected, got, message)


def series_match_account(_: Connection, rows: Sequence[EventRow]) -> Iterator[Violation]:
    """An event and the series of its first charge belong to the same account."""
    for row in rows:
        if row.account_id != row.series_account_id:
            message = f"event {row.id} is in a series of another account"
            yield _violation("account_differs", row, str(row.account_id), str(row.series_account_id), message)


def _has_digest(row: EventRow, fingerprint: int) -> bool:
    """Whether an event has this digest. It covers the route that the record stated: the event's own, or none."""
    return any(fingerprint_of(usage_event(row, route)) == fingerprint for route in (row.route, ""))


def _violation(code: str, row: EventRow, expected: str, got: str, message: str) -> Violation:
    return Violation(code, f"event {row.id}", expected, got, message)
