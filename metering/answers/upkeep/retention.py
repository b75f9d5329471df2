"""Answers about months of events, and their retirement."""

from pydantic import Field

from metering.answers.fields import Answer, instant_field
from metering.domain.instants import format_instant, format_month
from metering.domain.upkeep.retirements import EventExport, EventMonths, RetiredMonth, Retirement
from metering.domain.usage.retention import EventMonth

_MANIFEST = "SHA-256 of the export's manifest, in hex"


class EventMonthAnswer(Answer):
    """A month that has or had events."""

    month: str = Field(description="The month.", examples=["2026-08"])
    events: int = Field(description="Number of events, including retired ones.", examples=[30])
    stored_events: int = Field(description="Number of events in the log.", examples=[30])
    unpriced_events: int = Field(description="Number of events without a price.", examples=[0])
    unassigned_events: int = Field(description="Number of events without an account.", examples=[0])
    open_accounts: int = Field(description="Number of accounts with some of it on an open statement.", examples=[0])
    can_be_dropped: bool = Field(description="Whether its events can be removed from the log.", examples=[True])


class RetiredMonthAnswer(Answer):
    """A month whose events were removed from the log."""

    month: str = Field(description="The month.", examples=["2026-08"])
    events: int = Field(description="Number of events that left the log.", examples=[30])
    copies: int = Field(description="Number of copies that left with them.", examples=[1])
    charges: int = Field(description="Number of later charges that left with them.", examples=[2])
    directory: str | None = Field(description="Where they were exported to; null: nowhere.", examples=["/archive/2026-08"])
    manifest_sha256: str | None = Field(description=f"{_MANIFEST}; null without an export.", examples=[None])
    retired_at: str = instant_field("When it was retired")


class RetentionAnswer(Answer):
    """The months of events, and what was retired."""

    months: list[EventMonthAnswer] = Field(description="Every month that ever had events, oldest first.", examples=[[]])
    retired: list[RetiredMonthAnswer] = Field(description="Every retirement, oldest first.", examples=[[]])


class RetirementAnswer(RetiredMonthAnswer):
    """A retirement that was just made."""

    bytes_before: int = Field(description="Size of the database before, in bytes.", examples=[1_048_576])
    bytes_after: int = Field(description="Size of the database after, in bytes.", examples=[524_288])


class EventExportAnswer(Answer):
    """An export of a month's events."""

    directory: str = Field(description="Its folder.", examples=["/archive/2026-08"])
    events: int = Field(description="Number of events in it.", examples=[30])
    charges: int = Field(description="Number of later charges in it.", examples=[2])
    copies: int = Field(description="Number of copies in it.", examples=[1])
    manifest_sha256: str = Field(description=f"{_MANIFEST}.", examples=["9f86d081884c7d65"])


def retention_answer(found: EventMonths) -> RetentionAnswer:
    """Return the months of events, and what was retired."""
    return RetentionAnswer(
        months=[event_month_answer(month) for month in found.months],
        retired=[RetiredMonthAnswer.model_validate(_retired_fields(each)) for each in found.retired],
    )


def event_month_answer(month: EventMonth) -> EventMonthAnswer:
    """Return a month of events."""
    return EventMonthAnswer(
        month=format_month(month.month),
        events=month.events,
        stored_events=month.stored_events,
        unpriced_events=month.unpriced_events,
        unassigned_events=month.unassigned_events,
        open_accounts=month.billed_open,
        can_be_dropped=bool(month.stored_events) and not month.billed_open and not month.unresolved_events,
    )


def retirement_answer(retirement: Retirement) -> RetirementAnswer:
    """Return a retirement that was just made."""
    fields = _retired_fields(retirement.month)
    sizes = {"bytes_before": retirement.bytes_before, "bytes_after": retirement.bytes_after}
    return RetirementAnswer.model_validate({**fields, **sizes})


def event_export_answer(export: EventExport) -> EventExportAnswer:
    """Return an export."""
    return EventExportAnswer(
        directory=str(export.directory),
        events=export.facts.events,
        charges=export.facts.charges,
        copies=export.facts.copies,
        manifest_sha256=export.digest,
    )


def _retired_fields(retired: RetiredMonth) -> dict[str, object]:
    return {
        "month": format_month(retired.month),
        "events": retired.events,
        "copies": retired.copies,
        "charges": retired.charges,
        "directory": retired.directory or None,
        "manifest_sha256": retired.digest or None,
        "retired_at": format_instant(retired.retired_at),
    }
