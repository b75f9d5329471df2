"""Answers about quarantine."""

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field
from metering.domain.instants import format_instant
from metering.domain.usage.quarantine import QuarantinedRecord


class QuarantinedRecordAnswer(Answer):
    """A record that could not become an event: where it is and why it was rejected, never its content."""

    id: int = Field(description="ID of the entry.", examples=[1])
    source: str = Field(description="The source of the record.", examples=["api"])
    file: str = Field(description="The file it is in; empty for the API and standard input.", examples=[""])
    line: int = Field(description="Its line, from 1; in a JSON array, its index, from 0.", examples=[3])
    offset: int = Field(description="The byte offset at which it starts.", examples=[412])
    length: int = Field(description="Its length in bytes.", examples=[187])
    digest: str = Field(description="BLAKE2b-128 of its bytes.", examples=["1f0c8a6f9d1d4a7f5f3c2f6e0a9b8c7d"])
    code: str = Field(description="Why it was rejected, as a stable code.", examples=["naive_time"])
    reason: str = Field(description="Why it was rejected, in words.", examples=["time: '2026-11-03T10:15:00' has no time zone"])
    field: str = Field(description="The invalid field; empty if the whole record is meant.", examples=["time"])
    kept: dict[str, str] = Field(
        description="Its identifying fields, as far as they could be read.", examples=[{"id": "req_01", "provider": "together"}]
    )
    recorded_at: str = instant_field("When it was first rejected")
    seen_at: str = instant_field("When it was last rejected")


class QuarantinePage(Page):
    """A page of the quarantine, oldest first."""

    items: list[QuarantinedRecordAnswer] = Field(description="The records.", examples=[[]])
    open: int = Field(description="Number of all records in quarantine.", examples=[0])


def quarantined_record_answer(record: QuarantinedRecord) -> QuarantinedRecordAnswer:
    """Return a record in quarantine."""
    return QuarantinedRecordAnswer(
        id=record.id,
        source=record.source,
        file=record.file,
        line=record.line,
        offset=record.offset,
        length=record.length,
        digest=record.digest,
        code=record.code,
        reason=record.reason,
        field=record.field,
        kept=record.kept,
        recorded_at=format_instant(record.recorded_at),
        seen_at=format_instant(record.seen_at),
    )
