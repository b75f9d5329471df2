"""Settle records that repeat a counted event with other content: they complete it, contradict it, or add nothing.

A record that completes an event is stored as a separate event, with what both records state. It counts in the place of the
earlier one, whose charge is reversed in the same transaction. Because that appends later charges, it needs the exclusive write
lock, as every other correction does: ingest stores new events first, and settles these records in a second transaction. After
an interruption between the two, sending the records again settles them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from metering.domain.usage.batch_events import BatchEvent, BatchEvents, has_other_kinds, other_quantities
from metering.domain.usage.batches import details_json
from metering.domain.usage.charging import route_of, succeeded
from metering.domain.usage.completion import MAX_APART_MICROS, ContradictionError, RequestFacts, completed
from metering.domain.usage.events import UNKNOWN, QuantityGrade, UsageEvent
from metering.domain.usage.identity import (
    MIN_CLAIM_LENGTH,
    claims_of,
    file_record_digest,
    identity_of,
    record_digest,
    repeated_id,
)
from metering.domain.usage.outcomes import Outcome
from metering.domain.usage.series import SeriesKey
from metering.operations.steps.charged_batch import ChargedBatch
from metering.operations.steps.current_events import CurrentEvent, current_events
from metering.operations.steps.event_contexts import ContextCache, EventContext
from metering.operations.usage.charge_events import charge_events
from metering.storage.charges.superseded_events import Head, heads_of
from metering.storage.usage.copies import copies_by_id
from metering.storage.usage.event_rows import source_of
from metering.storage.usage.events import stored_identities
from metering.storage.usage.series import SourceRow
from pricing.book import PriceBook, Timeline
from pricing.errors import ChargeTooLargeError

# Values that the series cap folded; those of the new series are added when the event is stored.
_OF_SERIES = frozenset({"project", "key", "model", "operation"})


class SeriesMissingError(Exception):
    """Completed events need series that were not created before the transaction."""

    def __init__(self, keys: set[SeriesKey]) -> None:
        super().__init__(f"{len(keys)} series do not exist yet")
        self.keys = keys


class Completion(NamedTuple):
    """A record that counts in the place of the event ``replaces``. ``earlier`` is None if that event was withdrawn.

    ``facts`` are those of both records, ``event`` is the record with these facts.
    """

    position: int
    replaces: int
    earlier: CurrentEvent | None
    facts: RequestFacts
    event: BatchEvent
    series: SeriesKey


class Settlement(NamedTuple):
    """The outcome of each record by position, with the event it repeats, and the records that count in the place of events.

    ``others`` are records of other requests that happen to have an ID which is taken, by position, each with
    its own ID and digest. They have no outcome yet.
    """

    outcomes: dict[int, tuple[Outcome, int]]
    completions: list[Completion]
    others: dict[int, BatchEvent]


class _KnownRequest(NamedTuple):
    """What is known of a request while the records of a batch are compared, and the completion that stated it last."""

    earlier: CurrentEvent | None
    facts: RequestFacts
    series: SeriesKey
    fingerprints: frozenset[int]
    completion: Completion | None = None


def compare_repeats(
    connection: Connection, charged: ChargedBatch, declared_tags: frozenset[str], *, identities_are_final: bool = False
) -> Settlement:
    """Compare records, in order, with the events that have their identities, and with each other.

    ``identities_are_final``: a record that contradicts is a conflict, even if it may be another request with the same ID.
    """
    events, contexts, _ = charged
    identities = [identity_of(digest, context.identity_mask) for digest, context in zip(events.digests, contexts, strict=True)]
    holders = _holders(connection, identities)
    heads = heads_of(connection, sorted(set(holders.values())), with_assigned=True)
    ends = {holder: heads.get(holder, Head(holder)) for holder in holders.values()}
    stored = current_events(connection, sorted({end.event_id for end in ends.values() if not end.withdrawn}), declared_tags)
    known: dict[int, _KnownRequest] = {}
    outcomes: dict[int, tuple[Outcome, int]] = {}
    others: dict[int, BatchEvent] = {}
    for position, (identity, context) in enumerate(zip(identities, contexts, strict=True)):
        end = ends[holders[identity]]
        event = events.at(position)
        new = _facts(event, context)
        before = known.get(end.event_id)
        if before is None and end.withdrawn:
            completion = Completion(position, end.event_id, None, new, event, context.full_series)
            known[end.event_id] = _KnownRequest(None, new, context.full_series, frozenset({event.fingerprint}), completion)
            outcomes[position] = Outcome.ACCEPTED, end.event_id
            continue
        if before is None and end.event_id in stored:
            earlier = stored[end.event_id]
            before = _KnownRequest(earlier, earlier.facts(context.default_route), earlier.series, end.fingerprints)
        outcome, after = _compared(position, end, event, context, new, before)
        other = None if identities_are_final or before is None else _other_request(event, context, new, before, outcome)
        if other is not None:
            others[position] = other
            continue
        if outcome is Outcome.DUPLICATE and _in_other_file(context, before):
            outcome = Outcome.COPY
        if after is not None:
            known[end.event_id] = after
        outcomes[position] = outcome, end.event_id
    completions = [each.completion for each in known.values() if each.completion is not None]
    return Settlement(outcomes, sorted(completions, key=lambda each: each.position), others)


def charged_completions(
    settlement: Settlement, charged: ChargedBatch, contexts: ContextCache, book: PriceBook
) -> tuple[list[Completion], ChargedBatch]:
    """Return the completions that have a charge, with their events as a batch. One whose charge is too large is a conflict.

    Raises SeriesMissingError.
    """
    own_contexts = _contexts(settlement.completions, charged, contexts)
    timelines = {context: book.timeline(context.account_id, context.route, context.rate_names) for context in set(own_contexts)}
    pairs = list(zip(settlement.completions, own_contexts, strict=True))
    try:
        return settlement.completions, _charged(pairs, timelines)
    except ChargeTooLargeError:
        pass
    kept: list[tuple[Completion, EventContext]] = []
    for each, context in pairs:
        try:
            _charged([(each, context)], timelines)
        except ChargeTooLargeError:
            settlement.outcomes[each.position] = Outcome.CONFLICT, each.replaces
            continue
        kept.append((each, context))
    return [each for each, _ in kept], _charged(kept, timelines)


def _contexts(completions: Sequence[Completion], charged: ChargedBatch, contexts: ContextCache) -> list[EventContext]:
    """Return the context of each completed event: its own series and source. Raises SeriesMissingError."""
    found: dict[tuple[EventContext, SeriesKey, SourceRow], EventContext] = {}
    missing: set[SeriesKey] = set()
    keys = []
    for each in completions:
        own = charged.contexts[each.position]
        key = own, each.series, own.source if each.earlier is None else source_of(each.earlier.row)
        keys.append(key)
        if key not in found:
            try:
                found[key] = contexts.in_series(own, each.series, source=key[2])
            except KeyError:
                missing.add(each.series)
    if missing:
        raise SeriesMissingError(missing)
    return [found[key] for key in keys]


def _charged(pairs: Sequence[tuple[Completion, EventContext]], timelines: Mapping[EventContext, Timeline]) -> ChargedBatch:
    events = BatchEvents.of([each.event for each, _ in pairs])
    contexts = [context for _, context in pairs]
    return ChargedBatch(events, contexts, charge_events(events, [timelines[context] for context in contexts]))


def _holders(connection: Connection, identities: Sequence[bytes]) -> dict[bytes, int]:
    """Return the event that has each identity; the original of a copy."""
    stored = stored_identities(connection, sorted(set(identities)))
    originals = copies_by_id(connection, sorted({holder.event_id for holder in stored.values()}))
    return {identity: originals.get(holder.event_id, holder.event_id) for identity, holder in stored.items()}


def _compared(
    position: int, end: Head, event: BatchEvent, context: EventContext, new: RequestFacts, before: _KnownRequest | None
) -> tuple[Outcome, _KnownRequest | None]:
    if event.fingerprint in (end if before is None else before).fingerprints:
        return Outcome.DUPLICATE, None
    if before is None:  # the event was retired with its month: nothing is left to compare with
        return Outcome.CONFLICT, None
    if new.route == before.series.route:
        # The stored event does not tell whether its record stated the route that the account has anyway.
        before = before._replace(facts=msgspec.structs.replace(before.facts, route=new.route))
    try:
        facts = completed(before.facts, new, of_several=bool(before.fingerprints))
    except ContradictionError:
        return Outcome.CONFLICT, None
    if facts == before.facts:
        return Outcome.DUPLICATE, None
    series = _series(before.series, context.full_series, facts, context.default_route)
    known_event = None if before.completion is None else before.completion.event
    merged = _merged(before.earlier, known_event, event, facts)
    completion = Completion(position, end.event_id, before.earlier, facts, merged, series)
    return Outcome.COMPLETED, _KnownRequest(
        before.earlier, facts, series, before.fingerprints | {event.fingerprint}, completion
    )


def _other_request(
    event: BatchEvent, context: EventContext, new: RequestFacts, before: _KnownRequest, outcome: Outcome
) -> BatchEvent | None:
    """Return the record under its own identity, if it is a different request that happens to have the same ID.

    That is a record of another file with other content, unless the ID is long enough to be unique; and a response ID that the
    provider repeated after more than an hour.
    """
    if _in_other_file(context, before) and event.fingerprint not in before.fingerprints:
        if outcome is not Outcome.CONFLICT and len(event.id) >= MIN_CLAIM_LENGTH:
            return None
        return msgspec.structs.replace(event, digest=record_digest(context.source.name, event.id))
    if outcome is Outcome.CONFLICT and event.id == event.response_id and abs(new.time - before.facts.time) > MAX_APART_MICROS:
        event_id = repeated_id(event.id, event.fingerprint)
        source = context.source
        digest = file_record_digest(event_id) if source.derived else record_digest(source.name, event_id)
        return msgspec.structs.replace(event, id=event_id, digest=digest)
    return None


def _in_other_file(context: EventContext, before: _KnownRequest | None) -> bool:
    earlier = None if before is None else before.earlier
    return context.source.derived and earlier is not None and earlier.row.source_id != context.source_id


def _facts(event: BatchEvent, context: EventContext) -> RequestFacts:
    series = context.full_series
    return RequestFacts(
        time=event.time,
        provider=series.provider,
        model=series.model,
        operation=series.operation,
        route="" if context.stated_route == UNKNOWN else context.stated_route,
        status=event.status,
        failure=str(_decoded(event.details).get("failure", "")) if '"failure"' in event.details else "",
        quantities=event.quantities,
        quantity_grade=event.quantity_grade,
    )


def _series(known: SeriesKey, new: SeriesKey, facts: RequestFacts, default_route: str) -> SeriesKey:
    return SeriesKey(
        account_id=known.account_id,
        provider=facts.provider,
        model=facts.model,
        operation=facts.operation,
        route=route_of(facts.route, facts.provider, default_route),
        project=known.project or new.project,
        key=known.key or new.key,
        tags=known.tags or new.tags,
    )


def _merged(earlier: CurrentEvent | None, known: BatchEvent | None, event: BatchEvent, facts: RequestFacts) -> BatchEvent:
    """Return the record under the earlier one's ID, with the facts of both and what only one of the two states."""
    source: Any = known if known is not None else earlier.row if earlier is not None else event
    known_details = _decoded(known.details) if known is not None else dict(earlier.details) if earlier is not None else {}
    details = _decoded(event.details) | {name: value for name, value in known_details.items() if name not in _OF_SERIES}
    if facts.quantity_grade != QuantityGrade.ESTIMATED:
        details.pop("estimate_reason", None)
    # The first report that was stored stands, in the details and in the charge.
    reported = details.get("reported_cost_nano")
    event_id = source.id if known is not None or earlier is None else source.external_id
    merged = msgspec.structs.replace(
        event,
        id=event_id,
        time=facts.time,
        status=facts.status,
        quantity_grade=facts.quantity_grade,
        quantities=facts.quantities,
        other_quantities=other_quantities(facts.quantities) if has_other_kinds(facts.quantities) else "",
        response_id=source.response_id or event.response_id,
        inference_id=source.inference_id or event.inference_id,
        latency_ms=event.latency_ms if source.latency_ms is None else source.latency_ms,
        reported_cost_nano=reported if isinstance(reported, int) else None,
        details=details_json(**details),
    )
    stated = _stated(merged, facts)
    return msgspec.structs.replace(merged, claims=claims_of(stated), succeeded=not facts.failure and succeeded(stated))


def _stated(event: BatchEvent, facts: RequestFacts) -> UsageEvent:
    """Return the fields that success and the claims depend on."""
    return UsageEvent(
        id=event.id,
        source="",
        time=facts.time,
        model=facts.model,
        provider=facts.provider,
        operation=facts.operation,
        status=facts.status,
        quantities=facts.quantities,
        response_id=event.response_id,
        inference_id=event.inference_id,
    )


def _decoded(details: str) -> dict[str, Any]:
    return msgspec.json.decode(details, type=dict[str, Any]) if details else {}
