"""Invariants of ledger entries: the amount follows from the grade, and a reversal undoes exactly one entry."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.usage.events import PriceGrade
from metering.domain.violations import Violation
from metering.operations.upkeep.check_billing_months import entry_is_billed_in_time
from metering.operations.upkeep.check_events import CHUNK, over_events
from metering.operations.upkeep.check_sums import Step
from metering.storage.charges.charges import ChargeEntry, first_entry, later_entries
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.charges.superseded_events import heads_of
from metering.storage.prices.price_tables import load_tables
from metering.storage.statements.closed_months import closed_through_by_account
from metering.storage.usage.assigned_events import AssignedEvent, assigned_among
from metering.storage.usage.event_rows import EventRow, details_of, events_with_charges
from metering.storage.usage.series import series_by_id
from pricing.book import PriceBook
from pricing.errors import ChargeTooLargeError
from pricing.rating import charge


def first_charges_follow_their_grades(connection: Connection, step: Step) -> Iterator[Violation]:
    """The amount of every first charge follows from its grade: quantities x rate, the reported cost, or nothing."""
    book = PriceBook(load_tables(connection))

    def first_charges(_: Connection, rows: Sequence[EventRow]) -> Iterator[Violation]:
        for row in rows:
            yield from _follows_its_grade(row, first_entry(row), book)

    return over_events(connection, step, first_charges)


def later_charges_undo_and_replace(connection: Connection, step: Step) -> Iterator[Violation]:
    """Later charges of an event come in pairs: a reversal of exactly the newest entry, then a replacement in the same month.

    So the sum of an event's entries is its newest entry. The amounts of replacements follow from their grades, as those of
    first charges do. An assigned event moves to its account with one pair, each half billed in its account's month; an
    event that its account had already counted ends with a reversal, as does a superseded one.
    """
    book = PriceBook(load_tables(connection))
    closed = closed_through_by_account(connection)
    done = after = 0
    while rows := events_with_charges(connection, after=after, limit=CHUNK):
        later = later_entries(connection, [row.id for row in rows])
        series = series_by_id(connection, {entry.series_id for entries in later.values() for entry in entries})
        assigned = assigned_among(connection, [row.id for row in rows if row.account_id == UNASSIGNED_ID])
        superseded = heads_of(connection, [row.id for row in rows])
        for row in rows:
            owners = [series[entry.series_id].account_id for entry in later[row.id]]
            moved_to = assigned.get(row.id)
            ends_reversed = row.id in superseded or (moved_to is not None and not moved_to.is_counted)
            yield from _undo_and_replace(row, later[row.id], owners, ends_reversed=ends_reversed)
            yield from _stays_with_its_account(row, owners, assigned.get(row.id))
            for entry, account_id in zip(later[row.id], owners, strict=True):
                yield from _follows_its_grade(row, entry, book)
                yield from entry_is_billed_in_time(row, entry, closed.get(account_id))
        after = rows[-1].id
        done += len(rows)
        step(done, done)


def _undo_and_replace(
    row: EventRow, later: Sequence[ChargeEntry], owners: Sequence[int], *, ends_reversed: bool
) -> Iterator[Violation]:
    newest = first_entry(row)
    reversed_by: ChargeEntry | None = None
    for position, entry in enumerate(later):
        if reversed_by is None:
            # A reversal is billed in the month that is open when it is written: that of the entry it reverses, or later.
            if entry._replace(billing_month=newest.billing_month) != newest.reversed():
                message = f"a later charge of event {row.id} does not reverse exactly the entry before it"
                yield _violation("reversal_differs", row, _in_words(newest.reversed()), _in_words(entry), message)
            reversed_by = entry
        else:
            if entry.sign != 1:
                message = f"an entry of event {row.id} is reversed twice"
                yield _violation("reversed_twice", row, "a replacement", "a reversal", message)
            if entry.billing_month != reversed_by.billing_month and owners[position] == owners[position - 1]:
                message = f"a later charge of event {row.id} is not billed in the same month as its reversal"
                yield _violation("moved_month", row, str(reversed_by.billing_month), str(entry.billing_month), message)
            newest, reversed_by = entry, None
    if reversed_by is not None and not ends_reversed:
        message = f"a charge of event {row.id} was reversed and not replaced"
        yield _violation("not_replaced", row, "a replacement", "none", message)


def _follows_its_grade(row: EventRow, entry: ChargeEntry, book: PriceBook) -> Iterator[Violation]:
    expected = _amount(row, entry, book)
    got = entry.amount_nano * entry.sign
    if expected != got:
        grade = PriceGrade(entry.price_grade).name.lower()
        message = f"the amount of a charge of event {row.id} does not follow from its grade ({grade}), nano-USD"
        yield _violation("charge_differs", row, "no charge" if expected is None else str(expected), str(got), message)


def _in_words(entry: ChargeEntry) -> str:
    shown = {**entry._asdict(), "price_grade": PriceGrade(entry.price_grade).name.lower(), "rate_id": entry.rate_id or "none"}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def _amount(row: EventRow, entry: ChargeEntry, book: PriceBook) -> int | None:
    """Return the amount that follows from the grade, in nano-USD; None if the rate makes no charge."""
    if entry.rate_id is not None:
        try:
            rated = charge(quantities_of(row), book.rate(entry.rate_id))
        except ChargeTooLargeError as error:
            return error.amount_nano  # stored before the present bound existed
        except KeyError:
            return None
        return None if rated is None else rated.amount_nano
    if entry.price_grade == PriceGrade.REPORTED:
        return details_of(row).get("reported_cost_nano")
    return 0


def _stays_with_its_account(row: EventRow, owners: Sequence[int], assigned: AssignedEvent | None) -> Iterator[Violation]:
    """An event's entries belong to its account; after it was assigned, those from the replacement on belong to that account."""
    moved = next((at for at, owner in enumerate(owners) if owner != row.account_id), len(owners))
    for owner in sorted({*owners[moved:]} - ({assigned.account_id} if assigned is not None and assigned.is_counted else set())):
        message = f"a charge of event {row.id} moved to another account; only unassigned events can be assigned, and only once"
        yield _violation("account_differs", row, str(row.account_id), str(owner), message)


def _violation(code: str, row: EventRow, expected: str, got: str, message: str) -> Violation:
    return Violation(code, f"event {row.id}", expected, got, message)
