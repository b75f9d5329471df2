"""Ingest a batch of decoded events: all that count are stored with their charges and rollups in one transaction.

The answer comes after the commit: acknowledged means stored. Handing the same batch in again changes nothing.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_DAY, month_of_day
from metering.domain.usage.batch_events import BatchEvent, BatchEvents
from metering.domain.usage.batches import Batch
from metering.domain.usage.events import RejectedRecord
from metering.domain.usage.identity import raw_digest
from metering.domain.usage.outcomes import BatchResult, ItemOutcome, Outcome
from metering.domain.usage.series import DEFAULT_SERIES_CAP
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.charged_batch import ChargedBatch
from metering.operations.steps.ensure_partitions import PartitionCache
from metering.operations.steps.event_contexts import ContextCache, EventContext
from metering.operations.steps.resolve_accounts import (
    BillingAccount,
    ResolvedNames,
    create_missing_accounts,
    resolve_names,
    unknown_names,
)
from metering.operations.usage.bind_to_account import bind_to_account, bound_account
from metering.operations.usage.charge_events import charge_events
from metering.operations.usage.fit_sums import events_that_do_not_fit
from metering.operations.usage.store_events import store_events
from metering.storage.accounts.api_keys import valid_key_ids
from metering.storage.engine.database import autocommit, concurrent_write, exclusive_write, read_snapshot
from metering.storage.engine.errors import SumTooLargeError
from metering.storage.prices.price_tables import load_tables, newest_table_id
from metering.storage.usage.quarantine import quarantine_records
from pricing.book import PriceBook, Timeline
from pricing.errors import ChargeTooLargeError

# Of two writers beside each other both may find room for what only one of them can add: then the other looks again.
_ATTEMPTS = 5
_NO_ROOM = "what events of its kind add up to on its day or in its month would leave 64 bits"


class IngestSettings(Struct, frozen=True):
    """How events are grouped: which tags are part of the series, and how many series an account may have."""

    declared_tags: frozenset[str] = frozenset()
    series_cap: int = DEFAULT_SERIES_CAP


class Origin(Struct, frozen=True):
    """Where a batch was read, so that its bad records can be found again.

    ``raw_of`` gives the bytes of a record by offset and length while the input is at hand; ``options`` is the JSON of how it
    was read. ``file`` is empty for what came over the API or standard input. With ``bound_account_id`` every event belongs to
    that account: a record that names no account too, and one that names another is rejected (``account_mismatch``). With
    ``key_id`` the batch is stored only if that key has not been revoked in the meantime.
    """

    source: str
    file: str = ""
    options: str = ""
    create_accounts: bool = False
    raw_of: Callable[[int, int], bytes] | None = None
    bound_account_id: int | None = None
    key_id: int | None = None


class RevokedKeyError(DomainError):
    """The key that sent a batch was revoked before it could be stored."""

    code = "unauthenticated"


class PreparedBatch(NamedTuple):
    """A batch with everything but its event ids; ``result`` has counted what can not be stored."""

    charged: ChargedBatch
    rejected: list[RejectedRecord]
    origin: Origin
    result: BatchResult


class _Senders(NamedTuple):
    """Which keys may still send, and the accounts that keys are bound to."""

    valid_keys: set[int]
    accounts: dict[int, BillingAccount | DomainError]


def _senders(connection: Connection, origins: Sequence[Origin]) -> _Senders:
    keys = {origin.key_id for origin in origins if origin.key_id is not None}
    accounts: dict[int, BillingAccount | DomainError] = {}
    for account_id in {origin.bound_account_id for origin in origins if origin.bound_account_id is not None}:
        try:
            accounts[account_id] = bound_account(connection, account_id)
        except DomainError as error:
            accounts[account_id] = error
    return _Senders(valid_key_ids(connection, keys) if keys else set(), accounts)


class Ingester:
    """Ingests batches, one at a time or from several threads; keeps the price book and the series between them."""

    def __init__(self, engine: Engine, settings: IngestSettings, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._clock = clock
        self._contexts = ContextCache(SeriesIndex(engine, settings.series_cap))
        self._months = PartitionCache(engine)
        self._book = PriceBook(())
        self._lock = threading.Lock()

    def ingest(self, batch: Batch, origin: Origin) -> BatchResult:
        """Store a batch; the answer counts every record of it once. On an error nothing of the batch is stored."""
        (result,) = self.store([self.prepare(batch, origin)])
        return result

    def prepare(self, batch: Batch, origin: Origin) -> PreparedBatch:
        """Resolve accounts, series and rates: all that can be done before the transaction that stores the batch."""
        (prepared,) = self.prepare_all([(batch, origin)])
        if isinstance(prepared, DomainError):
            raise prepared
        return prepared

    def prepare_all(self, batches: Sequence[tuple[Batch, Origin]]) -> list[PreparedBatch | DomainError]:
        """Prepare several batches with one look at accounts, keys and prices.

        What is wrong with a batch as a whole (its key was revoked, its key's account is gone) stands in its place.
        """
        with self._lock:
            creating = {
                dimensions.account
                for batch, origin in batches
                if origin.create_accounts and origin.bound_account_id is None
                for dimensions in batch.dimensions
            }
            if creating:
                self._create_accounts(creating)
            with autocommit(self._engine) as connection:
                stated = {dimensions.account for batch, _ in batches for dimensions in batch.dimensions}
                names = resolve_names(connection, stated)
                senders = _senders(connection, [origin for _, origin in batches])
                newest = newest_table_id(connection)
            self._read_prices(through=newest)
            return [self._prepare(batch, origin, names, senders) for batch, origin in batches]

    def ingest_all(self, batches: Sequence[tuple[Batch, Origin]]) -> list[BatchResult | DomainError]:
        """Store several batches in one transaction; in the place of one that can not be stored stands why."""
        prepared = self.prepare_all(batches)
        stored = iter(self.store([batch for batch in prepared if isinstance(batch, PreparedBatch)]))
        return [next(stored) if isinstance(batch, PreparedBatch) else batch for batch in prepared]

    def store(self, prepared: Sequence[PreparedBatch]) -> list[BatchResult]:
        """Store prepared batches in one transaction, in their order; return their results. All of them or none."""
        now = self._clock()
        for _ in range(_ATTEMPTS):
            try:
                return self._store(prepared, now)
            except SumTooLargeError:
                prepared = self._that_fit(prepared, now)
        return self._store(prepared, now)

    def _store(self, prepared: Sequence[PreparedBatch], now: int) -> list[BatchResult]:
        # Counted on copies: what is rolled back was not counted.
        results = [msgspec.structs.replace(batch.result, items=list(batch.result.items)) for batch in prepared]
        with concurrent_write(self._engine) as connection:
            store_events(connection, [(batch.charged, result) for batch, result in zip(prepared, results, strict=True)], now)
            rows = [_quarantine_row(record, batch.origin, now) for batch in prepared for record in batch.rejected]
            quarantine_records(connection, rows)
        return results

    def _that_fit(self, prepared: Sequence[PreparedBatch], now: int) -> list[PreparedBatch]:
        """Return the batches with the events rejected for which there is no room in a sum."""
        charged = ChargedBatch.joined([batch.charged for batch in prepared])
        with concurrent_write(self._engine) as connection:
            unfit = events_that_do_not_fit(connection, charged, now)
            connection.rollback()
        fitting = []
        first = 0
        for batch in prepared:
            end = first + len(batch.charged.contexts)
            fitting.append(_without(batch, {position - first for position in unfit.intersection(range(first, end))}))
            first = end
        return fitting

    def _prepare(self, batch: Batch, origin: Origin, names: ResolvedNames, senders: _Senders) -> PreparedBatch | DomainError:
        result = BatchResult(unread_fields=batch.unread_fields)
        if origin.key_id is not None and origin.key_id not in senders.valid_keys:
            return RevokedKeyError("the key is not valid, or was revoked")
        if origin.bound_account_id is not None:
            bound = senders.accounts[origin.bound_account_id]
            if isinstance(bound, DomainError):
                return bound
            batch, names = bind_to_account(batch, names, bound, origin.raw_of)
        self._months.prepare({month_of_day(day) for day in {time // MICROS_PER_DAY for time in batch.events.times}})
        contexts = self._contexts.of_events(batch, names)
        rejected = list(batch.rejected)
        charged = self._charge(batch.events, contexts, origin, rejected)
        for record in rejected:
            result.add(_rejection(record))
        return PreparedBatch(charged, rejected, origin, result)

    def _charge(
        self, events: BatchEvents, contexts: list[EventContext], origin: Origin, rejected: list[RejectedRecord]
    ) -> ChargedBatch:
        # Once a place, not once an event: a batch has a handful of places.
        timelines = {
            context: self._book.timeline(context.account_id, context.route, context.rate_names) for context in set(contexts)
        }
        priced_by = [timelines[context] for context in contexts]
        try:
            return ChargedBatch(events, contexts, charge_events(events, priced_by))
        except ChargeTooLargeError:
            return _charge_one_by_one(events, contexts, priced_by, origin, rejected)

    def _create_accounts(self, stated: set[str]) -> None:
        with read_snapshot(self._engine) as connection:
            missing = unknown_names(connection, stated)
        if missing:
            with exclusive_write(self._engine) as connection:
                create_missing_accounts(connection, missing, now=self._clock())

    def _read_prices(self, through: int) -> None:
        """Read the tables that the book does not hold yet. A table never changes: what it holds stays right."""
        newest = max((table.id for table in self._book.tables), default=0)
        if through > newest:
            with read_snapshot(self._engine) as connection:
                self._book = PriceBook((*self._book.tables, *load_tables(connection, after=newest)))


def _charge_one_by_one(
    events: BatchEvents, contexts: list[EventContext], priced_by: list[Timeline], origin: Origin, rejected: list[RejectedRecord]
) -> ChargedBatch:
    """Return the events that a charge can be made of; the others are rejected."""
    charged = []
    for position, (context, timeline) in enumerate(zip(contexts, priced_by, strict=True)):
        event = events.only([position])
        try:
            charged.append(ChargedBatch(event, [context], charge_events(event, [timeline])))
        except ChargeTooLargeError as error:
            rejected.append(_refused(event.at(0), context, origin, error.code, str(error)))
    return ChargedBatch.joined(charged)


def _rejection(record: RejectedRecord) -> ItemOutcome:
    return ItemOutcome(
        record.position.line, Outcome.REJECTED, record.code, record.reason, record.kept.get("id", ""), record.field
    )


def _without(batch: PreparedBatch, unfit: set[int]) -> PreparedBatch:
    """Return the batch with the events at these positions rejected: there is no room for them in a sum."""
    if not unfit:
        return batch
    charged = batch.charged
    rejected = list(batch.rejected)
    result = msgspec.structs.replace(batch.result, items=list(batch.result.items))
    for position in sorted(unfit):
        event, context = charged.events.at(position), charged.contexts[position]
        record = _refused(event, context, batch.origin, SumTooLargeError.code, _NO_ROOM)
        rejected.append(record)
        result.add(_rejection(record))
    fitting = [position for position in range(len(charged.contexts)) if position not in unfit]
    return PreparedBatch(charged.only(fitting), rejected, batch.origin, result)


def _refused(event: BatchEvent, context: EventContext, origin: Origin, code: str, reason: str) -> RejectedRecord:
    position = event.position
    raw = origin.raw_of(position.offset, position.length) if origin.raw_of else b""
    kept = {"id": event.id, "provider": context.full_series.provider, "model": context.full_series.model}
    return RejectedRecord(position, raw_digest(raw) if raw else "", code, reason, "usage", kept)


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
