"""What only events can answer is refused where they were taken out of the log: unknown is not zero."""

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
            f"the events of {shown} were retired, and {what} needs them; whole days and months are answered from their sums,"
            " and `metering retention list` says where the events were written to"
        )
