"""A batch: decoded events that are ready to be stored, with each combination of shared dimensions listed once.

Thousands of events share a few combinations of (account, source, provider, model, ...). Listing each once makes a batch small
to pass between processes, and lets the writer resolve accounts, routes, series and rates once per combination.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec
from msgspec import Struct

from metering.domain.usage.batch_events import BatchEvents, has_other_kinds
from metering.domain.usage.charging import succeeded
from metering.domain.usage.events import DecodedBlock, RejectedRecord, UsageEvent
from metering.domain.usage.identity import claims_of, file_record_digest, raw_digest, record_digest

_MAX_CACHED_TAGS = 4_096
_SECRET_STARTS = ("hf_", "sk-", "sk_", "gsk_", "fw_", "key-", "Bearer ")
_SECRET_LENGTH = 32


class Dimensions(Struct, frozen=True, array_like=True):
    """What events share, as their records stated it. ``tags`` is canonical JSON of the declared tags, empty for none."""

    account: str
    source: str
    provider: str
    model: str
    operation: str
    route: str
    project: str
    key: str
    tags: str


class Batch(Struct, array_like=True):
    """A block of a log, ready to be stored. ``by_index``: positions are 0-based items of a JSON document, not lines.

    The digests of records from ``file_source`` are those of its file's records (see ``identity``); empty: no such source.
    """

    dimensions: list[Dimensions]
    events: BatchEvents
    rejected: list[RejectedRecord]
    unread_fields: dict[str, int]
    by_index: bool = False
    file_source: str = ""


class BatchBuilder:
    """Makes batches. ``declared_tags`` are part of the series; other tags stay on the event.

    ``file_source`` is the source that was named after the file; empty if the source was stated.
    """

    def __init__(self, declared_tags: frozenset[str], file_source: str = "") -> None:
        self._declared = declared_tags
        self._file_source = file_source
        self._tags: dict[tuple[tuple[str, str], ...], tuple[str, str]] = {}

    def batch_of(self, block: DecodedBlock) -> Batch:
        """Return the block as a batch."""
        known: dict[tuple[str, ...], int] = {}
        items = block.events
        events = [item.event for item in items]
        used = [event.quantities for event in events]
        positions = [item.position for item in items]
        tags = [self._split(event.tags) if event.tags else ("", "") for event in events]
        columns = BatchEvents(
            dimensions=[_dimensions(event, declared, known) for event, (declared, _) in zip(events, tags, strict=True)],
            ids=[event.id for event in events],
            digests=self._digests(events),
            fingerprints=[item.fingerprint for item in items],
            times=[event.time for event in events],
            statuses=[event.status for event in events],
            succeeded=[succeeded(event) for event in events],
            gateway_cached=[event.gateway_cached for event in events],
            quantity_grades=[event.quantity_grade for event in events],
            input_tokens=[each.input_tokens for each in used],
            cache_read_tokens=[each.cache_read_tokens for each in used],
            output_tokens=[each.output_tokens for each in used],
            reasoning_tokens=[each.reasoning_tokens for each in used],
            beyond=[each if has_other_kinds(each) else None for each in used],
            response_ids=[event.response_id for event in events],
            inference_ids=[event.inference_id for event in events],
            latencies_ms=[event.latency_ms for event in events],
            reported_costs_nano=[event.reported_cost_nano for event in events],
            details=[
                self._details(event) if _has_details(event) else of_tags
                for event, (_, of_tags) in zip(events, tags, strict=True)
            ],
            claims=[claims_of(event) if event.response_id or event.inference_id else [] for event in events],
            lines=[position.line for position in positions],
            offsets=[position.offset for position in positions],
            lengths=[position.length for position in positions],
        )
        dimensions = [Dimensions(*key) for key in known]
        return Batch(dimensions, columns, block.rejected, block.unread_fields, block.by_index, self._file_source)

    def _digests(self, events: Sequence[UsageEvent]) -> list[bytes]:
        file_source = self._file_source
        if not file_source:
            return [record_digest(event.source, event.id) for event in events]
        return [
            file_record_digest(event.id) if event.source == file_source else record_digest(event.source, event.id)
            for event in events
        ]

    def _split(self, tags: dict[str, str]) -> tuple[str, str]:
        """Return (declared tags, details with the other tags). Cached, because most events carry the same few tags."""
        key = tuple(tags.items())
        cached = self._tags.get(key)
        if cached is None:
            if len(self._tags) >= _MAX_CACHED_TAGS:
                self._tags.clear()
            others = {name: value for name, value in tags.items() if name not in self._declared}
            cached = self._tags[key] = canonical_tags(tags, self._declared), details_json(tags=others)
        return cached

    def _details(self, event: UsageEvent) -> str:
        return details_json(
            tags={name: value for name, value in event.tags.items() if name not in self._declared},
            estimate_reason=event.estimate_reason,
            time_derived=event.time_derived or None,
            response_model=event.response_model,
            reported_cost_nano=event.reported_cost_nano,
            gateway_cost_nano=event.gateway_cost_nano,
            failure=event.failure,
        )


def _dimensions(event: UsageEvent, declared_tags: str, known: dict[tuple[str, ...], int]) -> int:
    """Return the position of an event's dimensions among the known ones; new dimensions are added."""
    key = (
        event.account, event.source, event.provider, event.model, event.operation, event.route, event.project,
        event.key and key_label(event.key), declared_tags,
    )  # fmt: skip
    return known.setdefault(key, len(known))


def _has_details(event: UsageEvent) -> bool:
    """Whether an event has details besides its tags."""
    return bool(
        event.estimate_reason
        or event.response_model
        or event.time_derived
        or event.reported_cost_nano is not None
        or event.gateway_cost_nano is not None
        or event.failure
    )


@lru_cache(maxsize=1024)
def key_label(key: str) -> str:
    """Return the name of a caller's key as it may be stored: a value that looks like a secret is replaced by a short digest."""
    if not key.startswith(_SECRET_STARTS) and (len(key) < _SECRET_LENGTH or not key.isalnum()):
        return key
    return f"{key[:3]}…{raw_digest(key.encode())[:12]}"


def canonical_tags(tags: dict[str, str], declared: Iterable[str]) -> str:
    """Return the declared tags as JSON with sorted keys; empty for none."""
    kept = {name: tags[name] for name in sorted(declared) if name in tags}
    return msgspec.json.encode(kept).decode() if kept else ""


def details_json(**details: object) -> str:
    """Return the details that have a value as JSON; empty for none."""
    stated = {name: value for name, value in details.items() if value not in (None, "", {})}
    return msgspec.json.encode(stated).decode() if stated else ""
