"""Refuse a question that needs events which were retired: unknown is not zero."""

from sqlalchemy import Connection

from metering.domain.instants import format_month
from metering.domain.usage.retention import EventsRetiredError
from metering.storage.usage.retired_months import retired_between


def require_events(connection: Connection, start: int, end: int, what: str) -> None:
    """Raise EventsRetiredError if events of ``[start, end)`` (microseconds UTC) were retired; ``what`` needs them."""
    months = retired_between(connection, start, end)
    if months:
        shown = ", ".join(map(format_month, months))
        raise EventsRetiredError(
            f"{what} needs the events of {shown}, which were retired; whole days and months are answered from rollups, and"
            " `metering retention list` shows where the events were exported"
        )
