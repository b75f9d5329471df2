"""Storing the events of batches: rows, claims and rollups of those that count, copies and conflicts of the others."""

from collections.abc import Sequence
from typing import Any

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
from metering.operations.steps.lock_open_months import lock_open_months
from metering.operations.steps.roll_up import RollupDeltas
from metering.operations.usage.charge_events import details_with_context
from metering.operations.usage.deduplicate import Deduplication, deduplicate
from metering.storage.usage.events import (
    ConflictRow,
    CopyRow,
    insert_conflicts,
    insert_copies,
    insert_events,
    insert_receipt,
    settle_claims,
)
from metering.storage.usage.retired_months import insert_retired_copies


def store_events(connection: Connection, batches: Sequence[tuple[ChargedBatch, BatchResult]], now: int) -> None:
    """Write the events that count with their charges and rollups, note what the others repeat, and count all in the results.

    Identities are claimed for all batches at once: written in key order, they touch each page of their index once. Raises
    SumTooLargeError where a rollup would leave 64 bits.
    """
    charged = ChargedBatch.joined([part for part, _ in batches])
    places = set(charged.places)
    closed = lock_open_months(connection, {place.account_id for place in places}, now=now)
    judgement = deduplicate(connection, charged.events, charged.places)
    counted, event_ids = _that_count(charged, judgement)
    days = [time // MICROS_PER_DAY for time in counted.events.times]
    months = closed.billed_months([place.account_id for place in counted.places], days)
    if event_ids:
        insert_receipt(connection, judgement.first_id, now)
        insert_events(connection, _columns(counted, event_ids, months))
    settle_claims(connection, judgement.claims, judgement.rows_of_new())
    deltas = RollupDeltas()
    deltas.add_first_charges(counted, days, months)
    add_to_sums(connection, deltas, {place.series_id: place.account_id for place in places})
    _count(batches, judgement)
    if judgement.repeats:
        owners = [result for part, result in batches for _ in part.places]
        _store_repeats(connection, charged, owners, judgement, now)


def _that_count(charged: ChargedBatch, judgement: Deduplication) -> tuple[ChargedBatch, Sequence[int]]:
    """Return the events that are no repeats, and their ids."""
    ids = range(judgement.first_id, judgement.first_id + len(charged.places))
    if not judgement.repeats:
        return charged, ids
    positions = [position for position in range(len(ids)) if position not in judgement.repeats]
    return charged.only(positions), [ids[position] for position in positions]


def _columns(charged: ChargedBatch, event_ids: Sequence[int], months: Sequence[int]) -> dict[str, Sequence[Any]]:
    """Return the columns of the event log, by name."""
    events, places, charges = charged
    return {
        "id": event_ids,
        "account_id": [place.account_id for place in places],
        "series_id": [place.series_id for place in places],
        "source_id": [place.source_id for place in places],
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
            details_with_context(details, place) if place.told else details
            for details, place in zip(events.details, places, strict=True)
        ],
    }


def _count(batches: Sequence[tuple[ChargedBatch, BatchResult]], judgement: Deduplication) -> None:
    """Count the new events of each batch in its result, and those that someone should look at."""
    first = 0
    for charged, result in batches:
        end = first + len(charged.places)
        repeats = {position for position in range(first, end) if position in judgement.repeats}
        result.accepted += end - first - len(repeats)
        for position, (place, charge) in enumerate(zip(charged.places, charged.charges, strict=True), first):
            if (place.doubtful or charge.amount_nano is None) and position not in repeats:
                _count_doubts(place, charge, result)
        first = end


def _store_repeats(
    connection: Connection, charged: ChargedBatch, owners: Sequence[BatchResult], judgement: Deduplication, now: int
) -> None:
    copies: list[CopyRow] = []
    conflicts: list[ConflictRow] = []
    of_retired: list[tuple[int, int]] = []
    events, places, _ = charged
    for position, (outcome, event_id) in sorted(judgement.repeats.items()):
        if outcome is Outcome.COPY and event_id in judgement.retired:
            of_retired.append((judgement.first_id + position, events.times[position]))
        elif outcome is Outcome.COPY:
            row = _copy_row(events.at(position), places[position], judgement.first_id + position, event_id, now)
            copies.append(row)
        elif outcome is Outcome.CONFLICT:
            conflicts.append(_conflict_row(events.at(position), places[position], event_id, now))
        code, why = _REPEATS[outcome]
        name = events.ids[position]
        owners[position].add(ItemOutcome(events.lines[position], outcome, code, f"{name!r} {why}", name))
    insert_copies(connection, copies)
    insert_retired_copies(connection, of_retired, now)
    insert_conflicts(connection, conflicts)


def _count_doubts(place: EventContext, charge: FirstCharge, result: BatchResult) -> None:
    if charge.amount_nano is None:
        result.unpriced += 1
    if place.account_id == UNASSIGNED_ID:
        result.unassigned += 1
    if place.route == UNKNOWN:
        result.route_unknown += 1
    if place.series is not place.wanted:
        result.series_capped += 1


_REPEATS = {
    Outcome.DUPLICATE: ("duplicate", "was ingested before; it is counted once"),
    Outcome.COPY: ("copy", "is another source's record of an event that is already counted"),
    Outcome.CONFLICT: ("conflict", "was ingested before with other content; the first stands"),
}


def _content(event: BatchEvent, place: EventContext) -> str:
    return details_json(series=place.wanted._asdict(), event=event)


def _copy_row(event: BatchEvent, place: EventContext, event_id: int, copy_of: int, now: int) -> CopyRow:
    return CopyRow(
        id=event_id,
        copy_of=copy_of,
        account_id=place.account_id,
        source_id=place.source_id,
        external_id=event.id,
        event_time=event.time,
        received_at=now,
        content=_content(event, place),
    )


def _conflict_row(event: BatchEvent, place: EventContext, event_id: int, now: int) -> ConflictRow:
    return ConflictRow(
        identity=identity_of(event.digest, place.identity_mask),
        fingerprint=event.fingerprint,
        event_id=event_id,
        account_id=place.account_id,
        source_id=place.source_id,
        external_id=event.id,
        received_at=now,
        content=_content(event, place),
    )
