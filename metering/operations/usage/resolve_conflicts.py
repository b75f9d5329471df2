"""List conflicts side by side with the events they contradict, and decide about them.

Accepting a conflict replaces the event with the record: the charge is reversed and replaced in one transaction, in a closed
month by correction. Dismissing it keeps the event. A decision is permanent.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import month_of
from metering.domain.usage.batch_events import BatchEvent, BatchEvents
from metering.domain.usage.completion import RequestFacts
from metering.domain.usage.conflicts import Conflict, ConflictDecision
from metering.domain.usage.events import UNKNOWN
from metering.domain.usage.outcomes import Outcome
from metering.domain.usage.series import SeriesKey
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.steps.charged_batch import ChargedBatch
from metering.operations.steps.current_events import CurrentEvent, current_events
from metering.operations.steps.ensure_partitions import PartitionCache
from metering.operations.steps.event_contexts import ContextCache, EventContext
from metering.operations.usage.charge_events import charge_events
from metering.operations.usage.ingest import IngestSettings
from metering.operations.usage.settle_repeats import Completion, Settlement
from metering.operations.usage.store_settled import store_completions
from metering.storage.charges.superseded_events import Head, heads_of
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.price_tables import load_tables
from metering.storage.usage.conflicts import (
    StoredConflict,
    conflict_with_id,
    conflicts_after,
    count_open_conflicts,
    insert_decision,
)
from metering.storage.usage.event_rows import source_of
from pricing.book import PriceBook
from pricing.errors import ChargeTooLargeError


class DecidedError(DomainError):
    """The conflict was decided before."""

    code = "already_decided"


class NothingToReplaceError(DomainError):
    """The event that the conflict contradicts was withdrawn, or retired with its month."""

    code = "nothing_to_replace"


def list_conflicts(
    engine: Engine,
    settings: IngestSettings,
    *,
    account_id: int | None = None,
    with_decided: bool = False,
    after: int = 0,
    limit: int | None = None,
) -> tuple[list[Conflict], int]:
    """Return (conflicts after the ID ``after``, oldest first; the number of open ones) of an account, or of all (None)."""
    with read_snapshot(engine) as connection:
        stored = conflicts_after(connection, after=after, limit=limit, account_id=account_id, with_decided=with_decided)
        conflicts = _side_by_side(connection, stored, PriceBook(load_tables(connection)), settings)
        return conflicts, count_open_conflicts(connection, account_id)


def show_conflict(engine: Engine, settings: IngestSettings, conflict_id: int) -> Conflict:
    """Return a conflict. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        stored = [_stored(connection, conflict_id)]
        return _side_by_side(connection, stored, PriceBook(load_tables(connection)), settings)[0]


def dismiss_conflict(engine: Engine, settings: IngestSettings, conflict_id: int, *, reason: str, by: str, now: int) -> Conflict:
    """Keep the event. Raises NotFoundError and DecidedError."""
    with exclusive_write(engine) as connection:
        _open(connection, conflict_id)
        insert_decision(connection, conflict_id, ConflictDecision.DISMISSED.value, reason=reason, recorded_by=by, now=now)
    return show_conflict(engine, settings, conflict_id)


def accept_conflict(engine: Engine, settings: IngestSettings, conflict_id: int, *, reason: str, by: str, now: int) -> Conflict:
    """Replace the event with the conflicting record. Raises NotFoundError, DecidedError and NothingToReplaceError."""
    with read_snapshot(engine) as connection:
        conflict = _open(connection, conflict_id)
        book = PriceBook(load_tables(connection))
        earlier = _counted(connection, [conflict], settings).get(conflict.event_id)
    series, event = _content(conflict)
    series = series if earlier is None else _in_account_of(series, earlier)
    PartitionCache(engine).prepare([month_of(event.time)])
    contexts = ContextCache(SeriesIndex(engine, settings.series_cap))
    contexts.prepare_series([series])
    with exclusive_write(engine) as connection:
        conflict = _open(connection, conflict_id)
        earlier = _counted(connection, [conflict], settings).get(conflict.event_id)
        if earlier is None:
            raise NothingToReplaceError(
                f"the event of conflict {conflict_id} was withdrawn or retired; dismiss it, or ingest the record again"
            )
        if _in_account_of(series, earlier) != series:
            raise DomainError(f"the event of conflict {conflict_id} was just assigned to an account; accept the conflict again")
        event = msgspec.structs.replace(event, id=earlier.row.external_id)
        context = contexts.of_series(series, source=source_of(earlier.row))
        _replace(connection, earlier, _charged(event, context, book), now)
        insert_decision(connection, conflict_id, ConflictDecision.ACCEPTED.value, reason=reason, recorded_by=by, now=now)
    return show_conflict(engine, settings, conflict_id)


def _in_account_of(series: SeriesKey, earlier: CurrentEvent) -> SeriesKey:
    """Return the record's series in the account of the event: an unassigned one may have been assigned since."""
    if series.account_id == earlier.series.account_id:
        return series
    route = earlier.series.route if series.route == UNKNOWN else series.route
    return series._replace(account_id=earlier.series.account_id, route=route)


def _charged(event: BatchEvent, context: EventContext, book: PriceBook) -> ChargedBatch:
    events = BatchEvents.of([event])
    timeline = book.timeline(context.account_id, context.route, context.rate_names)
    return ChargedBatch(events, [context], charge_events(events, [timeline]))


def _replace(connection: Connection, earlier: CurrentEvent, charged: ChargedBatch, now: int) -> None:
    event, (context,) = charged.events.at(0), charged.contexts
    completion = Completion(0, earlier.row.id, earlier, _facts(context.full_series, event), event, context.full_series)
    settlement = Settlement({0: (Outcome.COMPLETED, earlier.row.id)}, [completion], {})
    store_completions(connection, settlement, [completion], charged, now)


def _side_by_side(
    connection: Connection, stored: Sequence[StoredConflict], book: PriceBook, settings: IngestSettings
) -> list[Conflict]:
    counted = _counted(connection, stored, settings)
    return [_conflict(each, counted.get(each.event_id), book) for each in stored]


def _counted(connection: Connection, conflicts: Sequence[StoredConflict], settings: IngestSettings) -> dict[int, CurrentEvent]:
    """Return, by the ID of the event that each conflict contradicted, the event that counts now."""
    event_ids = sorted({each.event_id for each in conflicts})
    heads = heads_of(connection, event_ids, with_assigned=True)
    ends = {event_id: heads.get(event_id, Head(event_id)) for event_id in event_ids}
    current = current_events(
        connection, sorted({end.event_id for end in ends.values() if not end.withdrawn}), settings.declared_tags
    )
    return {event_id: current[end.event_id] for event_id, end in ends.items() if end.event_id in current}


def _conflict(stored: StoredConflict, earlier: CurrentEvent | None, book: PriceBook) -> Conflict:
    series, event = _content(stored)
    return Conflict(
        id=stored.id,
        account_id=stored.account_id,
        source=stored.source,
        event_id=stored.external_id,
        received_at=stored.received_at,
        counted=None if earlier is None else _shown(earlier),
        counted_nano=None if earlier is None or earlier.entry.is_unpriced else earlier.entry.amount_nano,
        record=_facts(series, event),
        record_nano=_amount(series, event, book),
        decision=None if stored.decision is None else ConflictDecision(stored.decision),
        reason=stored.reason or "",
        decided_by=stored.recorded_by or "",
        decided_at=stored.recorded_at,
    )


def _shown(earlier: CurrentEvent) -> RequestFacts:
    return msgspec.structs.replace(earlier.facts(""), route=earlier.series.route)


def _facts(series: SeriesKey, event: BatchEvent) -> RequestFacts:
    details: dict[str, Any] = msgspec.json.decode(event.details) if event.details else {}
    return RequestFacts(
        time=event.time,
        provider=series.provider,
        model=series.model,
        operation=series.operation,
        route=series.route,
        status=event.status,
        failure=str(details.get("failure", "")),
        quantities=event.quantities,
        quantity_grade=event.quantity_grade,
    )


def _amount(series: SeriesKey, event: BatchEvent, book: PriceBook) -> int | None:
    timeline = book.timeline(series.account_id, series.route, (series.provider, series.model, series.operation))
    try:
        return charge_events(BatchEvents.of([event]), [timeline])[0].amount_nano
    except ChargeTooLargeError:
        return None


def _content(stored: StoredConflict) -> tuple[SeriesKey, BatchEvent]:
    content = msgspec.json.decode(stored.content, type=dict[str, Any])
    return SeriesKey(**content["series"]), msgspec.convert(content["event"], BatchEvent)


def _stored(connection: Connection, conflict_id: int) -> StoredConflict:
    conflict = conflict_with_id(connection, conflict_id)
    if conflict is None:
        raise NotFoundError(f"no conflict {conflict_id}; `metering usage conflicts` lists them")
    return conflict


def _open(connection: Connection, conflict_id: int) -> StoredConflict:
    conflict = _stored(connection, conflict_id)
    if conflict.decision is not None:
        raise DecidedError(f"conflict {conflict_id} was {conflict.decision} before; a decision is permanent")
    return conflict
