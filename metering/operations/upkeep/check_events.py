"""Invariants of single events: identity, content digest, failure.

Each invariant is a function over a chunk of events; ``over_events`` applies them to all events in bounded memory.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from sqlalchemy import Connection

from metering.domain.usage.charging import succeeded
from metering.domain.usage.events import FREE_GRADES, PriceGrade
from metering.domain.usage.identity import fingerprint_of
from metering.domain.violations import Violation
from metering.operations.upkeep.check_sums import Step
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.charges.superseded_events import superseding_among
from metering.storage.usage.event_rows import (
    EventRow,
    count_events,
    event_rows,
    holder_among,
    identities_of_row,
    stated_names,
    usage_event,
)
from metering.storage.usage.events import stored_identities

CHUNK = 5_000
_WITHOUT_OUTPUT_BEFORE = frozenset({"embeddings", "rerank", "feature-extraction"})

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
    identities = {row.id: identities_of_row(row, row.account_id) for row in rows}
    stored = stored_identities(connection, sorted(chain.from_iterable(identities.values())))
    for row in rows:
        holder = holder_among(stored, identities[row.id], row.id)
        if holder is None or holder.event_id != row.id:
            got = "none" if holder is None else f"event {holder.event_id}"
            message = f"the identity of event {row.id} is missing or belongs to another event: it could be counted again"
            yield _violation("identity_missing", row, f"event {row.id}", got, message)
        elif not _has_digest(row, holder.fingerprint):
            expected = str(fingerprint_of(usage_event(row, row.route)))
            message = f"the content of event {row.id} does not match the digest that was stored with it"
            yield _violation("content_differs", row, expected, str(holder.fingerprint), message)


def failed_events_cost_nothing(_: Connection, rows: Sequence[EventRow]) -> Iterator[Violation]:
    """A failed request is exempt and costs nothing; a successful one is not exempt. What a gateway's cache answered is free."""
    for row in rows:
        answered = succeeded(usage_event(row, row.route))
        if answered and row.price_grade == PriceGrade.EXEMPT and _is_exempt_as_before(row):
            continue
        is_free = row.price_grade in FREE_GRADES
        if is_free == answered or (is_free and row.charge_nano != 0):
            expected = "a charge" if answered else "exempt, 0"
            got = f"{PriceGrade(row.price_grade).name.lower()}, {row.charge_nano}"
            message = f"event {row.id} {'succeeded and is exempt' if answered else 'failed and is not exempt'}"
            yield _violation("failure_charged", row, expected, got, message)


def _is_exempt_as_before(row: EventRow) -> bool:
    """Whether an event is exempt by the rule of releases before 0.2: without a status and output, a request had failed."""
    used = quantities_of(row)
    is_embedding = stated_names(row)[2] in _WITHOUT_OUTPUT_BEFORE and used.prompt_tokens > 0
    return row.status is None and not (used.output_tokens or used.has_output or is_embedding)


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
