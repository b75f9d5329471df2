"""``/v1/quarantine``: the records that could not become events."""

import json

from fastapi import APIRouter
from pydantic import Field

from metering.api.fields import DEFAULT_PAGE, Answer, CursorParameter, LimitParameter, instant_field, next_cursor_field
from metering.api.openapi import problems
from metering.domain.instants import format_instant
from metering.domain.usage.quarantine import QuarantinedRecord
from metering.operations.usage.list_quarantine import list_quarantine
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])


class BadRecord(Answer):
    """Where a record stands that could not become an event, and why; never what it says."""

    id: int = Field(description="The entry.", examples=[1])
    source: str = Field(description="The source it was sent under.", examples=["api"])
    file: str = Field(description="The file it stands in; empty for what was sent.", examples=[""])
    line: int = Field(description="The line, from 1; of a JSON array, the item, from 0.", examples=[3])
    offset: int = Field(description="The byte at which it begins.", examples=[412])
    length: int = Field(description="How many bytes it has.", examples=[187])
    digest: str = Field(description="BLAKE2b-128 of its bytes.", examples=["1f0c8a6f9d1d4a7f5f3c2f6e0a9b8c7d"])
    code: str = Field(description="What was wrong, stable.", examples=["naive_time"])
    reason: str = Field(description="What was wrong, in words.", examples=["time: '2026-11-03T10:15:00' has no time zone"])
    field: str = Field(description="The field that was wrong; empty where it was the whole record.", examples=["time"])
    kept: dict[str, str] = Field(
        description="The identifying fields that could be read.", examples=[{"id": "req_01", "provider": "together"}]
    )
    recorded_at: str = instant_field("When it was first seen")
    seen_at: str = instant_field("When it was last seen")


class QuarantinePage(Answer):
    """A page of quarantine, oldest first."""

    items: list[BadRecord] = Field(description="The records.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


@router.get("", operation_id="list_quarantine", summary="List quarantine", responses=problems("bound_key", "invalid_cursor"))
def get_quarantine(
    principal: Reader, service: ServiceNow, limit: LimitParameter = DEFAULT_PAGE, cursor: CursorParameter = None
) -> QuarantinePage:
    """List the records that wait in quarantine. Whose they are is not always known, so the key must be bound to no account."""
    principal.require_unbound()
    after = 0 if cursor is None else int(read_cursor(cursor, "quarantine", [int])[0])
    rows, _ = list_quarantine(service.engine, after=after, limit=limit + 1)
    return QuarantinePage(
        items=[_record(row) for row in rows[:limit]],
        next_cursor=write_cursor([rows[limit - 1].id], "quarantine") if len(rows) > limit else None,
    )


def _record(row: QuarantinedRecord) -> BadRecord:
    return BadRecord(
        id=row.id,
        source=row.source,
        file=row.file,
        line=row.line,
        offset=row.offset,
        length=row.length,
        digest=row.digest,
        code=row.code,
        reason=row.reason,
        field=row.field,
        kept=json.loads(row.kept),
        recorded_at=format_instant(row.recorded_at),
        seen_at=format_instant(row.seen_at),
    )
