"""Ingest a batch of decoded events: all that count are stored with their charges and rollups in one transaction.

The answer comes after the commit: acknowledged means stored. Handing the same batch in again changes nothing.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import Connection, Engine

from metering.domain.batches import Batch, BatchEvent, details_json
from metering.domain.charging import FirstCharge
from metering.domain.events import UNKNOWN, RejectedRecord
from metering.domain.identity import identity_of, raw_digest
from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.domain.outcomes import BatchResult, ItemOutcome, Outcome
from metering.domain.series import DEFAULT_SERIES_CAP
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.charge_events import charge_event, details_with_folded
from metering.operations.steps.count_once import Judgement, judge
from metering.operations.steps.hold_to_account import bound_to, hold_to_account
from metering.operations.steps.place_events import Place, Places
from metering.operations.steps.resolve_accounts import create_missing_accounts, resolve_names
from metering.operations.steps.roll_up import RollupDeltas
from metering.storage.accounts import UNASSIGNED_ID
from metering.storage.database import reading, writing
from metering.storage.events import add_to_rollups, insert_claims, insert_conflicts, insert_copies, insert_events
from metering.storage.price_tables import load_tables, newest_table_id
from metering.storage.quarantine import note_records
from pricing.book import PriceBook
from pricing.errors import ChargeTooLargeError


class Charged(NamedTuple):
    """The events of a batch that can be stored, each with its place and its charge at the same position."""

    events: list[BatchEvent]
    places: list[Place]
    charges: list[FirstCharge]


class IngestSettings(Struct, frozen=True):
    """How events are grouped: which tags are part of the series, and how many series an account may have."""

    declared_tags: frozenset[str] = frozenset()
    series_cap: int = DEFAULT_SERIES_CAP


class Origin(Struct, frozen=True):
    """Where a batch was read, so that its bad records can be found again.

    ``raw_of`` gives the bytes of a record by offset and length while the input is at hand; ``options`` is the JSON of how it
    was read. ``file`` is empty for what came over the API or standard input. With ``bound_account_id`` every event belongs to
    that account: a record that names no account too, and one that names another is rejected (``account_mismatch``).
    """

    source: str
    file: str = ""
    options: str = ""
    create_accounts: bool = False
    raw_of: Callable[[int, int], bytes] | None = None
    bound_account_id: int | None = None


class Ingester:
    """Ingests batches, one at a time or from several threads; keeps the price book and the series between them."""

    def __init__(self, engine: Engine, settings: IngestSettings, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._index = SeriesIndex(engine, settings.series_cap)
        self._book = PriceBook(())
        self._book_id = -1
        self._lock = threading.Lock()

    def ingest(self, batch: Batch, origin: Origin) -> BatchResult:
        """Store a batch; the answer counts every record of it once. On an error nothing of the batch is stored."""
        with self._lock:
            return self._ingest(batch, origin)

    def _ingest(self, batch: Batch, origin: Origin) -> BatchResult:
        now = self._clock()
        result = BatchResult(unread_fields=batch.unread_fields)
        stated = {dimensions.account for dimensions in batch.dimensions}
        if origin.create_accounts and origin.bound_account_id is None:
            self._create_accounts(stated, now)
        with reading(self._engine) as connection:
            names = resolve_names(connection, stated)
            if origin.bound_account_id is not None:
                batch, names = hold_to_account(batch, names, bound_to(connection, origin.bound_account_id), origin.raw_of)
            self._refresh_book(connection)
        placed = Places(batch, names, self._index).of_events()
        rejected = list(batch.rejected)
        charged = self._charge(batch.events, placed, origin, rejected)
        for record in rejected:
            result.add(_rejection(record))
        with writing(self._engine) as connection:
            judgement = judge(connection, charged.events, charged.places)
            _store(connection, charged, judgement, result, now)
            note_records(connection, [_quarantine_row(record, origin, now) for record in rejected])
        return result

    def _charge(self, events: list[BatchEvent], placed: list[Place], origin: Origin, rejected: list[RejectedRecord]) -> Charged:
        book = self._book
        try:
            charges = [charge_event(event, place, book) for event, place in zip(events, placed, strict=True)]
        except ChargeTooLargeError:
            return self._charge_one_by_one(events, placed, origin, rejected)
        return Charged(events, placed, charges)

    def _charge_one_by_one(
        self, events: list[BatchEvent], placed: list[Place], origin: Origin, rejected: list[RejectedRecord]
    ) -> Charged:
        charged = Charged([], [], [])
        for event, place in zip(events, placed, strict=True):
            try:
                charge = charge_event(event, place, self._book)
            except ChargeTooLargeError as error:
                rejected.append(_refused(event, place, error, origin))
                continue
            charged.events.append(event)
            charged.places.append(place)
            charged.charges.append(charge)
        return charged

    def _create_accounts(self, stated: set[str], now: int) -> None:
        with writing(self._engine) as connection:
            create_missing_accounts(connection, stated, now=now)

    def _refresh_book(self, connection: Connection) -> None:
        newest = newest_table_id(connection)
        if newest != self._book_id:
            self._book = PriceBook(load_tables(connection))
            self._book_id = newest


def _store(connection: Connection, charged: Charged, judgement: Judgement, result: BatchResult, now: int) -> None:
    values: list[Any] = []
    claims: list[tuple[int, int]] = []
    deltas = RollupDeltas()
    entries, repeats = deltas.entries, judgement.repeats
    for event_id, (event, place, charge) in enumerate(zip(*charged, strict=True), judgement.first_id):
        if repeats and event_id - judgement.first_id in repeats:
            continue
        amounts = astuple(event.quantities)
        billable = place.billable and event.succeeded
        day = event.time // MICROS_PER_DAY
        month = month_of_day(day)
        values += (
            event_id,
            place.account_id,
            place.series_id,
            place.source_id,
            event.id,
            event.time,
            event.time_derived,
            now,
            event.status,
            billable,
            event.quantity_grade,
            *amounts,
            charge.amount_nano,
            charge.rate_id,
            charge.grade,
            charge.cache_price_unknown,
            month,
            event.response_id,
            event.inference_id,
            event.latency_ms,
            event.details if place.series is place.wanted else details_with_folded(event, place),
        )
        key = place.series_id, charge.rate_id or 0, charge.grade, event.quantity_grade, billable, day, month
        entries[key].append((1, *amounts, charge.amount_nano or 0))
        for claim in event.claims:
            claims.append((claim, event_id))  # noqa: PERF401 - most events have none or one
        if place.doubtful or charge.amount_nano is None:
            _count_doubts(place, charge, result)
    result.accepted += len(charged.events) - len(repeats)
    insert_events(connection, values)
    insert_claims(connection, claims)
    add_to_rollups(connection, deltas.rows())
    _store_repeats(connection, charged, judgement, result, now)


def _store_repeats(connection: Connection, charged: Charged, judgement: Judgement, result: BatchResult, now: int) -> None:
    copies: list[tuple[Any, ...]] = []
    conflicts: list[tuple[Any, ...]] = []
    for position, (outcome, event_id) in sorted(judgement.repeats.items()):
        event, place = charged.events[position], charged.places[position]
        if outcome is Outcome.COPY:
            copies.append(_copy_row(event, place, judgement.first_id + position, event_id, now))
        elif outcome is Outcome.CONFLICT:
            conflicts.append(_conflict_row(event, place, event_id, now))
        code, why = _REPEATS[outcome]
        result.add(ItemOutcome(event.position.line, outcome, code, f"{event.id!r} {why}", event.id))
    insert_copies(connection, copies)
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


def _rejection(record: RejectedRecord) -> ItemOutcome:
    return ItemOutcome(
        record.position.line, Outcome.REJECTED, record.code, record.reason, record.kept.get("id", ""), record.field
    )


def _content(event: BatchEvent, place: Place) -> str:
    return details_json(series=place.wanted._asdict(), event=event)


def _copy_row(event: BatchEvent, place: Place, event_id: int, copy_of: int, now: int) -> tuple[Any, ...]:
    return event_id, copy_of, place.account_id, place.source_id, event.id, event.time, now, _content(event, place)


def _conflict_row(event: BatchEvent, place: Place, event_id: int, now: int) -> tuple[Any, ...]:
    identity = identity_of(event.digest, place.identity_mask)
    content = _content(event, place)
    return None, identity, event.fingerprint, event_id, place.account_id, place.source_id, event.id, now, content


def _refused(event: BatchEvent, place: Place, error: ChargeTooLargeError, origin: Origin) -> RejectedRecord:
    position = event.position
    raw = origin.raw_of(position.offset, position.length) if origin.raw_of else b""
    kept = {"id": event.id, "provider": place.wanted.provider, "model": place.wanted.model}
    return RejectedRecord(position, raw_digest(raw) if raw else "", error.code, str(error), "usage", kept)


def _quarantine_row(record: RejectedRecord, origin: Origin, now: int) -> tuple[Any, ...]:
    return (
        origin.source,
        origin.file,
        record.position.line,
        record.position.offset,
        record.position.length,
        record.digest,
        record.code,
        record.reason,
        record.field or "",
        msgspec.json.encode(record.kept).decode(),
        origin.options,
        now,
        now,
    )
