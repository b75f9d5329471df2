"""Charges are billed in the right month: the event's own, or a later one if that is closed."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from metering.domain.instants import format_month, month_of, next_month
from metering.domain.violations import Violation
from metering.storage.charges.charges import ChargeEntry
from metering.storage.statements.closed_months import charges_written_after_close, closed_through_by_account
from metering.storage.usage.event_rows import EventRow


def events_are_billed_in_their_month(connection: Connection, rows: Sequence[EventRow]) -> Iterator[Violation]:
    """A first charge is billed in its event's month, or in a later one if that is closed."""
    closed = closed_through_by_account(connection)
    for row in rows:
        if not billed_in_time(row, row.billing_month, closed.get(row.account_id)):
            yield _violation(row, f"event {row.id}", row.billing_month)


def entry_is_billed_in_time(row: EventRow, entry: ChargeEntry, closed_through: int | None) -> Iterator[Violation]:
    """A later charge follows the same rule; ``closed_through`` is the last closed month of its account."""
    if not billed_in_time(row, entry.billing_month, closed_through):
        yield _violation(row, f"a later charge of event {row.id}", entry.billing_month)


def nothing_is_charged_after_its_close(connection: Connection) -> Iterator[Violation]:
    """No later charge is billed in a month that was already closed when it was written."""
    for charge_id, event_id, account_id, month in charges_written_after_close(connection):
        where = f"account {account_id}, {format_month(month)}"
        message = f"charge {charge_id} of event {event_id} is billed in {where}, which was already closed when it was written"
        yield Violation("charged_after_close", where, "the first open month", format_month(month), message)


def billed_in_time(row: EventRow, billing_month: int, closed_through: int | None) -> bool:
    """Whether an entry of an event may be billed in a month, given the last closed month of its account."""
    own = month_of(row.event_time)
    if billing_month == own:
        return True
    return closed_through is not None and own <= closed_through and own < billing_month <= next_month(closed_through)


def _violation(row: EventRow, what: str, billing_month: int) -> Violation:
    message = f"{what} is not billed in its event's month, although that month is open"
    expected, got = format_month(month_of(row.event_time)), format_month(billing_month)
    return Violation("billing_month_differs", f"event {row.id}", expected, got, message)
