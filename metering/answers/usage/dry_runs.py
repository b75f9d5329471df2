"""Answers about how a log would be read."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple
from pydantic import Field

from metering.answers.fields import Answer, PossibleCostFields, amount, nano_usd, possible_amounts, usd
from metering.domain.instants import format_instant
from metering.domain.usage.dry_runs import LogPreview, PreviewedRecord
from metering.domain.usage.events import QuantityGrade, UsageEvent
from pricing.quantities import ALL_KINDS


class PreviewedEventAnswer(PossibleCostFields):
    """The event that a record would become."""

    id: str = Field(description="Its ID.", examples=["req_01"])
    time: str = Field(description="When the request started (UTC).", examples=["2026-11-03T10:15:00.123456Z"])
    account: str = Field(description="The account, as stated; empty: none.", examples=["acme"])
    provider: str = Field(description="The provider; `unknown` where it is not stated.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    operation: str = Field(description="The operation.", examples=["chat"])
    route: str = Field(description="The billing route that it would have.", examples=["routed"])
    status: int | None = Field(description="HTTP status; null: not stated.", examples=[200])
    quantities: dict[str, int] = Field(description="What was used, by kind.", examples=[{"input_tokens": 1_200}])
    quantity_grade: str = Field(description="`measured`, `estimated` or `unstated`.", examples=["measured"])
    failed: bool = Field(description="Whether the request failed: it is counted and costs nothing.", examples=[False])
    amount_nano_usd: int | None = nano_usd("What it would cost; null: it would be unpriced", 860_000)
    amount_usd: str | None = usd("What it would cost; null: it would be unpriced", "0.000860000")


class PreviewedRecordAnswer(Answer):
    """A record next to what it would become."""

    line: int | None = Field(description="Its line; null in a JSON document.", examples=[1])
    index: int | None = Field(description="Its index in a JSON document; null otherwise.", examples=[None])
    raw: str = Field(description="The record, shortened, without what may be content.", examples=['{"id":"req_01"}'])
    event: PreviewedEventAnswer | None = Field(description="The event; null: it would be rejected.", examples=[None])
    code: str = Field(description="Why it would be rejected, as a stable code; empty: it would not.", examples=["missing_time"])
    reason: str = Field(description="The same in words.", examples=["the record has no time"])


class LogPreviewAnswer(Answer):
    """How a log would be read."""

    file: str = Field(description="The file.", examples=["requests.ndjson"])
    source: str = Field(description="The source that its records would have.", examples=["requests.ndjson"])
    format: str = Field(description="Its format.", examples=["native"])
    records: list[PreviewedRecordAnswer] = Field(description="Its first records.", examples=[[]])
    unread_fields: dict[str, int] = Field(
        description="Fields of the first part of the log that no event would keep, with their number of records.",
        examples=[{"trace": 12}],
    )


class DryRunAnswer(Answer):
    """What an ingest would do; nothing was written."""

    files: list[LogPreviewAnswer] = Field(description="The logs.", examples=[[]])


def dry_run_answer(previews: Sequence[LogPreview]) -> DryRunAnswer:
    """Return how logs would be read."""
    return DryRunAnswer(files=[_log(preview) for preview in previews])


def _log(preview: LogPreview) -> LogPreviewAnswer:
    return LogPreviewAnswer(
        file=preview.file,
        source=preview.source,
        format=preview.format,
        records=[_record(record) for record in preview.records],
        unread_fields=preview.unread_fields,
    )


def _record(record: PreviewedRecord) -> PreviewedRecordAnswer:
    rejected = record.rejected
    return PreviewedRecordAnswer(
        line=None if record.by_index else record.position,
        index=record.position if record.by_index else None,
        raw=record.raw,
        event=None if record.event is None else PreviewedEventAnswer.model_validate(_event(record.event, record)),
        code="" if rejected is None else rejected.code,
        reason="" if rejected is None else rejected.reason,
    )


def _event(event: UsageEvent, record: PreviewedRecord) -> dict[str, Any]:
    quantities = zip(ALL_KINDS, astuple(event.quantities), strict=True)
    return {
        "id": event.id,
        "time": format_instant(event.time),
        "account": event.account,
        "provider": event.provider,
        "model": event.model,
        "operation": event.operation,
        "route": record.route,
        "status": event.status,
        "quantities": {kind: count for kind, count in quantities if count},
        "quantity_grade": QuantityGrade(event.quantity_grade).name.lower(),
        "failed": record.failed,
        **amount("amount", record.amount_nano),
        **possible_amounts(record.possible),
    }
