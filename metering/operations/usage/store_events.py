"""Store the events of batches: rows, claims and rollups of new events, copies, and what their records complete."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.instants import MICROS_PER_DAY
from metering.domain.usage.batch_events import COLUMN_KINDS, BatchEvent, other_quantities
from metering.domain.usage.batches import details_json
from metering.domain.usage.charging import FirstCharge
from metering.domain.usage.events import UNKNOWN
from metering.domain.usage.identity import identity_of
from metering.domain.usage.outcomes import BatchResult, ItemOutcome, Outcome
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.charged_batch import ChargedBatch
from metering.operations.steps.event_contexts import EventContext
from metering.operations.steps.lock_open_months import ClosedMonths, lock_open_months
from metering.operations.steps.roll_up import RollupDeltas
from metering.operations.usage.charge_events import merge_details
from metering.operations.usage.deduplicate import Deduplication, Repeat, deduplicate
from metering.storage.charges.superseded_events import heads_of
from metering.storage.usage.event_rows import sources_of_events
from metering.storage.usage.events import (
    ConflictRow,
    CopyRow,
    insert_copies,
    insert_events,
    insert_receipt,
    settle_claims,
)
from metering.storage.usage.retired_months import insert_retired_copies


class StoredEvents(NamedTuple):
    """The new event at position ``p`` of the joined batches has the ID ``first_id + p``.

    ``unsettled`` are the positions of records that ``store_settled`` has to settle: repeats with other content, and repeats of
    withdrawn events.
    """

    first_id: int
    unsettled: list[int]


def store_events(connection: Connection, batches: Sequence[tuple[ChargedBatch, BatchResult]], now: int) -> StoredEvents:
    """Write new events with their charges and rollups, record copies, and count these outcomes in the results.

    Identities are claimed for all batches at once, in key order, so that each page of their index
    is touched once. Raises SumTooLargeError if a rollup would exceed 64 bits.
    """
    charged = ChargedBatch.joined([part for part, _ in batches])
    closed = lock_open_months(connection, {context.account_id for context in set(charged.contexts)}, now=now)
    dedup = deduplicate(connection, charged.events, charged.contexts)
    deltas = RollupDeltas()
    insert_new_events(connection, charged, dedup, closed, deltas, now)
    add_to_sums(connection, deltas, {context.series_id: context.account_id for context in set(charged.contexts)})
    _count_new(batches, dedup)
    if not dedup.repeats:
        return StoredEvents(dedup.first_id, [])
    owners = owners_of(batches)
    unsettled = _unsettled(connection, dedup)
    repeats = _without(dedup.repeats, unsettled)
    for position in _in_other_files(connection, charged.contexts, repeats):
        count_repeat(owners[position], Outcome.COPY, charged.events.ids[position], charged.events.lines[position])
        del repeats[position]
    _store_repeats(connection, charged, owners, dedup._replace(repeats=repeats), now)
    return StoredEvents(dedup.first_id, unsettled)


def owners_of(batches: Sequence[tuple[ChargedBatch, BatchResult]]) -> list[BatchResult]:
    """Return the result that each event of the joined batches is counted in."""
    return [result for part, result in batches for _ in part.contexts]


def insert_new_events(
    connection: Connection, charged: ChargedBatch, dedup: Deduplication, closed: ClosedMonths, deltas: RollupDeltas, now: int
) -> list[int]:
    """Write the events that are not repeats and add them to ``deltas``; return their IDs."""
    counted, event_ids = _new_events(charged, dedup)
    days = [time // MICROS_PER_DAY for time in counted.events.times]
    months = closed.billed_months([context.account_id for context in counted.contexts], days)
    if event_ids:
        insert_receipt(connection, dedup.first_id, now)
        insert_events(connection, _columns(counted, event_ids, months))
    settle_claims(connection, dedup.claims, dedup.rows_of_new())
    deltas.add_first_charges(counted, days, months)
    return list(event_ids)


def _unsettled(connection: Connection, dedup: Deduplication) -> list[int]:
    heads = heads_of(connection, sorted({repeat.event_id for repeat in dedup.repeats.values()}), with_assigned=True)
    return sorted(
        position
        for position, repeat in dedup.repeats.items()
        if repeat.outcome is Outcome.CONFLICT
        or (repeat.outcome is Outcome.DUPLICATE and repeat.event_id in heads and heads[repeat.event_id].withdrawn)
    )


def _in_other_files(connection: Connection, contexts: Sequence[EventContext], repeats: Mapping[int, Repeat]) -> list[int]:
    """Return the repeats that another file has: records of a rotated or copied log. They have no identity, so no row either."""
    duplicates = {
        position: repeat.event_id
        for position, repeat in repeats.items()
        if repeat.outcome is Outcome.DUPLICATE and contexts[position].source.derived
    }
    sources = sources_of_events(connection, sorted(set(duplicates.values()))) if duplicates else {}
    return sorted(
        position
        for position, event_id in duplicates.items()
        if sources.get(event_id, contexts[position].source_id) != contexts[position].source_id
    )


def _without(repeats: Mapping[int, Repeat], positions: Sequence[int]) -> dict[int, Repeat]:
    left_out = set(positions)
    return {position: repeat for position, repeat in repeats.items() if position not in left_out}


def _new_events(charged: ChargedBatch, dedup: Deduplication) -> tuple[ChargedBatch, Sequence[int]]:
    """Return the events that are not repeats, and their IDs."""
    ids = range(dedup.first_id, dedup.first_id + len(charged.contexts))
    if not dedup.repeats:
        return charged, ids
    positions = [position for position in range(len(ids)) if position not in dedup.repeats]
    return charged.only(positions), [ids[position] for position in positions]


def _columns(charged: ChargedBatch, event_ids: Sequence[int], months: Sequence[int]) -> dict[str, Sequence[Any]]:
    """Return the columns of the events table, by name."""
    events, contexts, charges = charged
    return {
        "id": event_ids,
        "account_id": [context.account_id for context in contexts],
        "series_id": [context.series_id for context in contexts],
        "source_id": [context.source_id for context in contexts],
        "external_id": events.ids,
        "event_time": events.times,
        "status": events.statuses,
        "quantity_grade": events.quantity_grades,
        **{kind: getattr(events, kind) for kind in COLUMN_KINDS},
        "other_quantities": ["" if quantities is None else other_quantities(quantities) for quantities in events.beyond],
        "charge_nano": [charge.amount_nano for charge in charges],
        "rate_id": [charge.rate_id for charge in charges],
        "price_grade": [charge.grade for charge in charges],
        "billing_month": months,
        "response_id": events.response_ids,
        "inference_id": events.inference_ids,
        "latency_ms": events.latencies_ms,
        "details": [
            merge_details(details, context) if context.extra_details else details
            for details, context in zip(events.details, contexts, strict=True)
        ],
    }


def _count_new(batches: Sequence[tuple[ChargedBatch, BatchResult]], dedup: Deduplication) -> None:
    """Count the new events of each batch in its result, and those that need attention."""
    first = 0
    for charged, result in batches:
        end = first + len(charged.contexts)
        repeats = {position for position in range(first, end) if position in dedup.repeats}
        result.accepted += end - first - len(repeats)
        for position, (context, charge) in enumerate(zip(charged.contexts, charged.charges, strict=True), first):
            if (context.needs_attention or charge.amount_nano is None) and position not in repeats:
                count_warnings(context, charge, result)
        first = end


def _store_repeats(
    connection: Connection, charged: ChargedBatch, owners: Sequence[BatchResult], dedup: Deduplication, now: int
) -> None:
    copies: list[CopyRow] = []
    copies_of_retired: list[tuple[int, int]] = []
    events, contexts, _ = charged
    for position, (outcome, event_id) in sorted(dedup.repeats.items()):
        if outcome is Outcome.COPY and event_id in dedup.retired:
            copies_of_retired.append((dedup.first_id + position, events.times[position]))
        elif outcome is Outcome.COPY:
            copies.append(_copy_row(events.at(position), contexts[position], dedup.first_id + position, event_id, now))
        count_repeat(owners[position], outcome, events.ids[position], events.lines[position])
    insert_copies(connection, copies)
    insert_retired_copies(connection, copies_of_retired, now)


def count_repeat(result: BatchResult, outcome: Outcome, record_id: str, line: int) -> None:
    """Count a record that is not a new event in its result."""
    code, reason = _REPEATS[outcome]
    result.add(ItemOutcome(line, outcome, code, f"{record_id!r} {reason}", record_id))


def count_warnings(context: EventContext, charge: FirstCharge, result: BatchResult, by: int = 1) -> None:
    """Count what needs attention about a new event; -1 takes it back."""
    if charge.amount_nano is None:
        result.unpriced += by
    if context.account_id == UNASSIGNED_ID:
        result.unassigned += by
    if context.route == UNKNOWN:
        result.route_unknown += by
    if context.series is not context.full_series:
        result.series_capped += by


_REPEATS = {
    Outcome.DUPLICATE: ("duplicate", "was ingested before and is counted once"),
    Outcome.COPY: ("copy", "is a record of an event that is already counted from a different source"),
    Outcome.COMPLETED: ("completed", "states what an earlier record left open, and replaced it"),
    Outcome.CONFLICT: ("conflict", "was ingested before with different content; the first record is kept"),
}


def _content(event: BatchEvent, context: EventContext) -> str:
    return details_json(series=context.full_series._asdict(), event=event)


def _copy_row(event: BatchEvent, context: EventContext, event_id: int, copy_of: int, now: int) -> CopyRow:
    return CopyRow(
        id=event_id,
        copy_of=copy_of,
        account_id=context.account_id,
        source_id=context.source_id,
        external_id=event.id,
        event_time=event.time,
        received_at=now,
        content=_content(event, context),
    )


def conflict_row(event: BatchEvent, context: EventContext, event_id: int, now: int) -> ConflictRow:
    """Return the row of a record that contradicts the event ``event_id``."""
    return ConflictRow(
        identity=identity_of(event.digest, context.identity_mask),
        fingerprint=event.fingerprint,
        event_id=event_id,
        account_id=context.account_id,
        source_id=context.source_id,
        external_id=event.id,
        received_at=now,
        content=_content(event, context),
    )
