"""Storing the events of batches: rows, claims and rollups of those that count, copies and conflicts of the others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field
from sqlalchemy import Connection

from metering.domain.batches import BatchEvent, details_json
from metering.domain.charging import FirstCharge
from metering.domain.events import UNKNOWN
from metering.domain.identity import CLAIM_WINDOW_MICROS, identity_of
from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.domain.outcomes import BatchResult, ItemOutcome, Outcome
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.charge_events import details_with_told
from metering.operations.steps.count_once import Judgement, judge
from metering.operations.steps.hold_open_months import ClosedMonths, hold_open_months
from metering.operations.steps.place_events import Place
from metering.operations.steps.roll_up import RollupDeltas, rollup_key
from metering.storage.accounts import UNASSIGNED_ID
from metering.storage.events import (
    ClaimRow,
    insert_conflicts,
    insert_copies,
    insert_events,
    insert_receipt,
    settle_claims,
)
from metering.storage.retired_months import note_retired_copies


class Charged(NamedTuple):
    """The events of a batch that can be stored, each with its place and its charge at the same position."""

    events: list[BatchEvent]
    places: list[Place]
    charges: list[FirstCharge]


class _Rows(Struct):
    """What is written, gathered over all batches: the values of the events' rows one after the other, claims, rollups."""

    values: list[Any] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    deltas: RollupDeltas = field(default_factory=RollupDeltas)


def store_events(connection: Connection, batches: Sequence[tuple[Charged, BatchResult]], now: int) -> None:
    """Write the events that count with their charges and rollups, note what the others repeat, and count all in the results.

    Identities are claimed for all batches at once: written in key order, they touch each page of their index once. Raises
    SumTooLargeError where a rollup would leave 64 bits.
    """
    events = [event for charged, _ in batches for event in charged.events]
    places = [place for charged, _ in batches for place in charged.places]
    closed = hold_open_months(connection, {place.account_id for place in set(places)}, now=now)
    judgement = judge(connection, events, places)
    rows = _Rows()
    first_id = judgement.first_id
    for charged, result in batches:
        _lay_out(charged, judgement, closed, first_id, rows, result)
        first_id += len(charged.events)
    if rows.values:
        insert_receipt(connection, judgement.first_id, now)
        insert_events(connection, rows.values)
    settle_claims(connection, judgement.claims, rows.claims)
    add_to_sums(connection, rows.deltas, {place.series_id: place.account_id for place in set(places)})
    if judgement.repeats:
        owners = [result for charged, result in batches for _ in charged.events]
        _store_repeats(connection, events, places, owners, judgement, now)


def _lay_out(
    charged: Charged, judgement: Judgement, closed: ClosedMonths, first_id: int, rows: _Rows, result: BatchResult
) -> None:
    """Lay out the rows of one batch, whose first record has the id ``first_id``."""
    values, claims, deltas, repeats = rows.values, rows.claims, rows.deltas, judgement.repeats
    common, last_closed = deltas.common, closed.last
    repeated = 0
    for event_id, (event, place, charge) in enumerate(zip(*charged, strict=True), first_id):
        if repeats and event_id - judgement.first_id in repeats:
            repeated += 1
            continue
        quantities = event.quantities
        used = quantities.input_tokens, quantities.cache_read_tokens, quantities.output_tokens, quantities.reasoning_tokens
        day = event.time // MICROS_PER_DAY
        month = month_of_day(day)
        if month <= last_closed:
            month = closed.billed_in(place.account_id, month)
        values += (
            event_id,
            place.account_id,
            place.series_id,
            place.source_id,
            event.id,
            event.time,
            event.status,
            event.quantity_grade,
            *used,
            event.other_quantities,
            charge.amount_nano,
            charge.rate_id,
            charge.grade,
            month,
            event.response_id,
            event.inference_id,
            event.latency_ms,
            details_with_told(event, place) if place.told else event.details,
        )
        key = rollup_key(event, place, charge, day, month)
        if event.other_quantities:
            deltas.add(key, quantities, charge.amount_nano or 0)
        else:
            common[key].append((1, *used, charge.amount_nano or 0))
        for claim in event.claims:
            claims.append((event.time // CLAIM_WINDOW_MICROS, claim, event_id))
        if place.doubtful or charge.amount_nano is None:
            _count_doubts(place, charge, result)
    result.accepted += len(charged.events) - repeated


def _store_repeats(
    connection: Connection,
    events: Sequence[BatchEvent],
    places: Sequence[Place],
    owners: Sequence[BatchResult],
    judgement: Judgement,
    now: int,
) -> None:
    copies: list[tuple[Any, ...]] = []
    conflicts: list[tuple[Any, ...]] = []
    of_retired: list[tuple[int, int]] = []
    for position, (outcome, event_id) in sorted(judgement.repeats.items()):
        event, place = events[position], places[position]
        if outcome is Outcome.COPY and event_id in judgement.retired:
            of_retired.append((judgement.first_id + position, event.time))
        elif outcome is Outcome.COPY:
            copies.append(_copy_row(event, place, judgement.first_id + position, event_id, now))
        elif outcome is Outcome.CONFLICT:
            conflicts.append(_conflict_row(event, place, event_id, now))
        code, why = _REPEATS[outcome]
        owners[position].add(ItemOutcome(event.position.line, outcome, code, f"{event.id!r} {why}", event.id))
    insert_copies(connection, copies)
    note_retired_copies(connection, of_retired, now)
    insert_conflicts(connection, conflicts)


def _count_doubts(place: Place, charge: FirstCharge, result: BatchResult) -> None:
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


def _content(event: BatchEvent, place: Place) -> str:
    return details_json(series=place.wanted._asdict(), event=event)


def _copy_row(event: BatchEvent, place: Place, event_id: int, copy_of: int, now: int) -> tuple[Any, ...]:
    return event_id, copy_of, place.account_id, place.source_id, event.id, event.time, now, _content(event, place)


def _conflict_row(event: BatchEvent, place: Place, event_id: int, now: int) -> tuple[Any, ...]:
    identity = identity_of(event.digest, place.identity_mask)
    content = _content(event, place)
    return None, identity, event.fingerprint, event_id, place.account_id, place.source_id, event.id, now, content
