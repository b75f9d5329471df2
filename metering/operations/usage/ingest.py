"""Ingest batches of decoded events: store new events with their charges and rollups in one transaction.

Results are returned after the commit: acknowledged means stored. Ingesting the same batch again changes nothing.
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
from metering.domain.usage.identity import file_record_digest, raw_digest, record_digest
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
from metering.operations.usage.settler import Settler
from metering.operations.usage.store_events import store_events
from metering.operations.usage.store_settled import SettlingTools
from metering.storage.accounts.api_keys import valid_key_ids
from metering.storage.engine.database import autocommit, concurrent_write, exclusive_write, read_snapshot
from metering.storage.engine.errors import SumTooLargeError
from metering.storage.prices.model_aliases import own_names
from metering.storage.prices.price_books import BookVersion, book_version
from metering.storage.prices.price_tables import load_tables
from metering.storage.usage.quarantine import quarantine_records
from pricing.book import PriceBook, Timeline
from pricing.errors import ChargeTooLargeError

# Two concurrent writers can both find room in a sum that only one of them fits into; the other then checks again.
_ATTEMPTS = 5
_BOOK_WAIT_SECONDS = 0.5
_SUM_FULL = "adding it would make the sum of its day or month exceed 64 bits"


class IngestSettings(Struct, frozen=True):
    """How events are grouped into series: the tags that are part of the series, and the cap per account."""

    declared_tags: frozenset[str] = frozenset()
    series_cap: int = DEFAULT_SERIES_CAP


class Origin(Struct, frozen=True):
    """Where a batch came from, so that its rejected records can be found again, and which key sent it.

    ``raw_of`` returns the bytes of a record by offset and length while the input is available; ``options`` is JSON of how the
    input was read. ``file`` is empty for the API and standard input. With ``bound_account_id``, every event belongs to that
    account, and a record that names another is rejected (``account_mismatch``). With ``key_id``, the batch is stored only if
    that key has not been revoked.
    """

    source: str
    file: str = ""
    options: str = ""
    create_accounts: bool = False
    raw_of: Callable[[int, int], bytes] | None = None
    bound_account_id: int | None = None
    key_id: int | None = None


class RevokedKeyError(DomainError):
    """The key that sent a batch was revoked before the batch was stored."""

    code = "unauthenticated"


class PreparedBatch(NamedTuple):
    """A batch that only lacks event IDs. ``result`` already counts the rejected records."""

    charged: ChargedBatch
    rejected: list[RejectedRecord]
    origin: Origin
    result: BatchResult


class _Senders(NamedTuple):
    """The keys that are still valid, and the accounts that keys are bound to."""

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
    """Ingests batches, also from several threads; keeps the price book and the series between batches."""

    def __init__(self, engine: Engine, settings: IngestSettings, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._clock = clock
        self._declared_tags = settings.declared_tags
        self._contexts = ContextCache(SeriesIndex(engine, settings.series_cap))
        self._months = PartitionCache(engine)
        self._book = PriceBook(())
        self._book_version = BookVersion()
        self._lock = threading.Lock()

    def ingest(self, batch: Batch, origin: Origin) -> BatchResult:
        """Store a batch; the result counts each of its records once. On an error nothing of the batch is stored."""
        (result,) = self.store([self.prepare(batch, origin)])
        return result

    def prepare(self, batch: Batch, origin: Origin) -> PreparedBatch:
        """Resolve accounts, series and charges: everything that can be done before the storing transaction."""
        (prepared,) = self.prepare_all([(batch, origin)])
        if isinstance(prepared, DomainError):
            raise prepared
        return prepared

    def prepare_all(self, batches: Sequence[tuple[Batch, Origin]]) -> list[PreparedBatch | DomainError]:
        """Prepare several batches with one read of accounts, keys and prices.

        A batch that is invalid as a whole (its key was revoked, its key's account is gone) is replaced by the error.
        """
        with self._lock:
            to_create = {
                dimensions.account
                for batch, origin in batches
                if origin.create_accounts and origin.bound_account_id is None
                for dimensions in batch.dimensions
            }
            if to_create:
                self._create_accounts(to_create)
            with autocommit(self._engine) as connection:
                stated = {dimensions.account for batch, _ in batches for dimensions in batch.dimensions}
                names = resolve_names(connection, stated)
                senders = _senders(connection, [origin for _, origin in batches])
                version = book_version(connection)
            self._read_prices(version)
            return [self._prepare(batch, origin, names, senders) for batch, origin in batches]

    def ingest_all(self, batches: Sequence[tuple[Batch, Origin]]) -> list[BatchResult | DomainError]:
        """Store several batches in one transaction; a batch that is invalid as a whole is replaced by the error."""
        prepared = self.prepare_all(batches)
        stored = iter(self.store([batch for batch in prepared if isinstance(batch, PreparedBatch)]))
        return [next(stored) if isinstance(batch, PreparedBatch) else batch for batch in prepared]

    def store(self, prepared: Sequence[PreparedBatch]) -> list[BatchResult]:
        """Store prepared batches in one transaction, in order; return their results. All are stored or none.

        Records that repeat a counted event with other content are settled in a second transaction (``settle_repeats``).
        """
        now = self._clock()
        for _ in range(_ATTEMPTS):
            try:
                return self._store(prepared, now)
            except SumTooLargeError:
                prepared = self._reject_overflowing(prepared, now)
        return self._store(prepared, now)

    def _store(self, prepared: Sequence[PreparedBatch], now: int) -> list[BatchResult]:
        # Count on copies, so that a rollback leaves the prepared results unchanged.
        results = [msgspec.structs.replace(batch.result, items=list(batch.result.items)) for batch in prepared]
        batches = [(batch.charged, result) for batch, result in zip(prepared, results, strict=True)]
        with concurrent_write(self._engine) as connection:
            stored = store_events(connection, batches, now)
            rows = [_quarantine_row(record, batch.origin, now) for batch in prepared for record in batch.rejected]
            quarantine_records(connection, rows)
        if stored.unsettled:
            tools = SettlingTools(self._contexts, self._book, self._declared_tags)
            Settler(self._engine, tools).settle(batches, stored, now)
        return results

    def _reject_overflowing(self, prepared: Sequence[PreparedBatch], now: int) -> list[PreparedBatch]:
        """Return the batches with those events rejected that would overflow a sum."""
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
        result = BatchResult(unread_fields=batch.unread_fields, by_index=batch.by_index)
        if origin.key_id is not None and origin.key_id not in senders.valid_keys:
            return RevokedKeyError("the key is not valid, or was revoked")
        if origin.bound_account_id is not None:
            bound = senders.accounts[origin.bound_account_id]
            if isinstance(bound, DomainError):
                return bound
            batch, names = bind_to_account(batch, names, bound, origin.raw_of)
        self._months.prepare({month_of_day(day) for day in {time // MICROS_PER_DAY for time in batch.events.times}})
        contexts = self._contexts.of_events(batch, names)
        _correct_digests(batch, contexts)
        rejected = list(batch.rejected)
        charged = self._charge(batch.events, contexts, origin, rejected)
        for record in rejected:
            result.add(_rejection(record))
        return PreparedBatch(charged, rejected, origin, result)

    def _charge(
        self, events: BatchEvents, contexts: list[EventContext], origin: Origin, rejected: list[RejectedRecord]
    ) -> ChargedBatch:
        # Once per context, not once per event: a batch has few contexts.
        timeline_of = {each: self._book.timeline(each.account_id, each.route, each.rate_names) for each in set(contexts)}
        timelines = [timeline_of[context] for context in contexts]
        try:
            return ChargedBatch(events, contexts, charge_events(events, timelines))
        except ChargeTooLargeError:
            return _charge_one_by_one(events, contexts, timelines, origin, rejected)

    def price_book(self) -> PriceBook:
        """Return the price book, read again if prices have changed. While a batch is prepared, it may be the one before."""
        if self._lock.acquire(timeout=_BOOK_WAIT_SECONDS):
            try:
                with autocommit(self._engine) as connection:
                    version = book_version(connection)
                self._read_prices(version)
            finally:
                self._lock.release()
        return self._book

    def _create_accounts(self, names: set[str]) -> None:
        with read_snapshot(self._engine) as connection:
            missing = unknown_names(connection, names)
        if missing:
            with exclusive_write(self._engine) as connection:
                create_missing_accounts(connection, missing, now=self._clock())

    def _read_prices(self, version: BookVersion) -> None:
        """Add price tables and names that the book does not have yet. Tables never change, so those it has stay valid."""
        newest, changes = self._book_version
        if version.newest_table <= newest and version.alias_changes == changes:
            return
        with read_snapshot(self._engine) as connection:
            # Read again: the tables of this snapshot may be newer than the version that was seen.
            self._book_version = book_version(connection)
            tables = (*self._book.tables, *load_tables(connection, after=newest))
            self._book = PriceBook(tables, own_names=own_names(connection))


def _correct_digests(batch: Batch, contexts: Sequence[EventContext]) -> None:
    """Make the digests follow how a source was first named: after a file, or by a person. They were guessed when decoding."""
    differ = {
        context.source for context in set(contexts) if context.source.derived != (context.source.name == batch.file_source)
    }
    if not differ:
        return
    digests = batch.events.digests
    for position, (context, event_id) in enumerate(zip(contexts, batch.events.ids, strict=True)):
        source = context.source
        if source in differ:
            digests[position] = file_record_digest(event_id) if source.derived else record_digest(source.name, event_id)


def _charge_one_by_one(
    events: BatchEvents, contexts: list[EventContext], timelines: list[Timeline], origin: Origin, rejected: list[RejectedRecord]
) -> ChargedBatch:
    """Return the events that can be charged; reject those with a charge that is too large."""
    charged = []
    for position, (context, timeline) in enumerate(zip(contexts, timelines, strict=True)):
        event = events.only([position])
        try:
            charged.append(ChargedBatch(event, [context], charge_events(event, [timeline])))
        except ChargeTooLargeError as error:
            rejected.append(_rejected_event(event.at(0), context, origin, error.code, str(error)))
    return ChargedBatch.joined(charged)


def _rejection(record: RejectedRecord) -> ItemOutcome:
    return ItemOutcome(
        record.position.line, Outcome.REJECTED, record.code, record.reason, record.kept.get("id", ""), record.field
    )


def _without(batch: PreparedBatch, unfit: set[int]) -> PreparedBatch:
    """Return the batch with the events at these positions rejected because they would overflow a sum."""
    if not unfit:
        return batch
    charged = batch.charged
    rejected = list(batch.rejected)
    result = msgspec.structs.replace(batch.result, items=list(batch.result.items))
    for position in sorted(unfit):
        event, context = charged.events.at(position), charged.contexts[position]
        record = _rejected_event(event, context, batch.origin, SumTooLargeError.code, _SUM_FULL)
        rejected.append(record)
        result.add(_rejection(record))
    fitting = [position for position in range(len(charged.contexts)) if position not in unfit]
    return PreparedBatch(charged.only(fitting), rejected, batch.origin, result)


def _rejected_event(event: BatchEvent, context: EventContext, origin: Origin, code: str, reason: str) -> RejectedRecord:
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
