"""Answers about ingested records: the outcome of a request body, of a log, of several logs.

These are msgspec structs instead of pydantic models, because ``POST /v1/events`` is the hot path of the API: a struct is built
and written in a sixth of the time. The OpenAPI document takes its schema from the structs (``metering.api.openapi``).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from metering.domain.errors import DomainError
from metering.domain.usage.outcomes import OUTCOME_COUNTS, WARNING_COUNTS, BatchResult, ItemOutcome, Outcome

_COUNTS = ("received", *OUTCOME_COUNTS, *WARNING_COUNTS)
# What to look at first; duplicates of a log are only counted.
_BY_URGENCY = (Outcome.REJECTED, Outcome.CONFLICT, Outcome.COPY)
_ITEM_EXAMPLE = {
    "index": 1,
    "line": None,
    "outcome": "rejected",
    "code": "naive_time",
    "reason": "time: '2026-11-03T10:15:00' has no time zone",
    "id": "req_02",
    "field": "time",
}


def _field(description: str, example: object) -> Any:
    return Meta(description=description, examples=[example])


class RecordOutcomeAnswer(Struct, frozen=True):
    """A record that was not accepted."""

    index: Annotated[int | None, _field("Its index in the JSON array, from 0; null for lines.", 3)]
    line: Annotated[int | None, _field("Its line, from 1; null for JSON arrays.", None)]
    outcome: Annotated[Outcome, _field("The outcome.", "rejected")]
    code: Annotated[str, _field("The reason, as a stable code.", "naive_time")]
    reason: Annotated[str, _field("The reason, in words.", _ITEM_EXAMPLE["reason"])]
    id: Annotated[str, _field("Its ID; empty if it could not be read.", "req_01")]
    field: Annotated[str | None, _field("The invalid field; null if the whole record is meant.", "time")]


class IngestCountsAnswer(Struct, frozen=True, kw_only=True):
    """Counts of records by outcome: each is exactly one of accepted, duplicate, copy, completed, conflict, rejected."""

    received: Annotated[int, _field("Records received.", 2)]
    accepted: Annotated[int, _field("Stored and counted.", 1)]
    duplicate: Annotated[int, _field("Ingested before with the same content. Not counted again.", 0)]
    copy: Annotated[int, _field("Another source's record of a counted event. Kept, not counted.", 0)]
    completed: Annotated[
        int,
        _field("Stated what an earlier record of the request left open, and replaced that record.", 0),
    ]
    conflict: Annotated[int, _field("Contradicts a record that was ingested before. The earlier record is kept.", 0)]
    rejected: Annotated[int, _field("Not valid events; see `items`.", 1)]
    unpriced: Annotated[int, _field("Accepted, but no price is known yet.", 0)]
    unassigned: Annotated[int, _field("Accepted, but their account is not declared.", 0)]
    route_unknown: Annotated[int, _field("Accepted, but their billing route is unknown.", 0)]
    series_capped: Annotated[
        int, _field("Accepted, but summed as `(other)`, because their account reached its cap of series.", 0)
    ]


class IngestAnswer(IngestCountsAnswer, frozen=True, kw_only=True):
    """The outcome of each record: exactly one of accepted, duplicate, copy, completed, conflict, rejected."""

    items: Annotated[
        list[RecordOutcomeAnswer], _field("Every record that was not accepted, in the order of the request.", [_ITEM_EXAMPLE])
    ]
    unread_fields: Annotated[
        dict[str, int], _field("Fields of records that no event keeps, with the number of records.", {"prompt": 1})
    ]


class InputErrorAnswer(Struct, frozen=True):
    """Why an input could not be read, or not to its end."""

    code: str
    message: str


class LogIngestAnswer(IngestAnswer, frozen=True, kw_only=True):
    """The outcome of one log. ``items`` has the first 1,000 rejected records, conflicts and copies, in this order.

    Duplicates are only counted: a log that is read again has many.
    """

    file: str
    source: str
    error: InputErrorAnswer | None


class IngestReportAnswer(Struct, frozen=True, kw_only=True):
    """The outcome of several logs. ``remarks`` are the other changes, such as an account that was created."""

    files: list[LogIngestAnswer]
    total: IngestCountsAnswer
    remarks: list[str]


class QuarantineReplayAnswer(IngestReportAnswer, frozen=True, kw_only=True):
    """The outcome of a replay. ``open`` records stay in quarantine; ``without_file`` of them have no file to read again."""

    open: int
    without_file: int


def ingest_answer(result: BatchResult) -> IngestAnswer:
    """Return the outcome of a request body, with every item."""
    items = sorted(result.items, key=lambda item: item.line)
    return IngestAnswer(**_counts(result), items=_items(items, by_index=result.by_index), unread_fields=result.unread_fields)


def log_ingest_answer(file: str, source: str, result: BatchResult, error: DomainError | None) -> LogIngestAnswer:
    """Return the outcome of one log."""
    urgent = [item for outcome in _BY_URGENCY for item in result.items if item.outcome is outcome]
    return LogIngestAnswer(
        file=file,
        source=source,
        **_counts(result),
        items=_items(urgent, by_index=result.by_index),
        unread_fields=result.unread_fields,
        error=None if error is None else InputErrorAnswer(error.code, str(error)),
    )


def ingest_report_answer(files: Sequence[LogIngestAnswer], remarks: Sequence[str] = ()) -> IngestReportAnswer:
    """Return the outcome of several logs."""
    return IngestReportAnswer(files=list(files), total=_total(files), remarks=list(remarks))


def quarantine_replay_answer(files: Sequence[LogIngestAnswer], *, still_open: int, without_file: int) -> QuarantineReplayAnswer:
    """Return the outcome of a replay."""
    return QuarantineReplayAnswer(
        files=list(files), total=_total(files), remarks=[], open=still_open, without_file=without_file
    )


def _total(files: Iterable[LogIngestAnswer]) -> IngestCountsAnswer:
    return IngestCountsAnswer(**{name: sum(getattr(file, name) for file in files) for name in _COUNTS})


def _counts(result: BatchResult) -> Mapping[str, int]:
    # A literal is faster than a loop over the names, and every answer on the hot path needs it.
    return {
        "received": result.received,
        "accepted": result.accepted,
        "duplicate": result.duplicate,
        "copy": result.copy,
        "completed": result.completed,
        "conflict": result.conflict,
        "rejected": result.rejected,
        "unpriced": result.unpriced,
        "unassigned": result.unassigned,
        "route_unknown": result.route_unknown,
        "series_capped": result.series_capped,
    }


def _items(items: Iterable[ItemOutcome], *, by_index: bool) -> list[RecordOutcomeAnswer]:
    return [
        RecordOutcomeAnswer(
            index=item.line if by_index else None,
            line=None if by_index else item.line,
            outcome=item.outcome,
            code=item.code,
            reason=item.reason,
            id=item.id,
            field=item.field,
        )
        for item in items
    ]
