"""Retire a month: take its events out of the log, once nothing of it can change any more.

Rollups, statements and identities stay, so that spend, statements and what counts as a duplicate are what they were. One
transaction checks that the rollups are what the events come to, keeps that, and takes the events out: all of it or nothing.
"""

from sqlalchemy import Connection, Engine

from metering.domain.errors import NotFoundError
from metering.domain.instants import first_day, format_month, next_month
from metering.domain.upkeep.retirements import EventExport, EventMonths, RetiredMonth, Retirement
from metering.domain.usage.retention import EventMonth, MonthChangedError, SumsDifferError
from metering.operations.upkeep.check_sums import rollups_of_day_match_ledger
from metering.storage.charges.ledger import ledger_sums
from metering.storage.engine.database import database_bytes, exclusive_write, read_snapshot, vacuum
from metering.storage.usage.retired_months import (
    delete_month,
    event_months,
    list_retired,
    lock_month,
    month_facts,
    move_claims_to_retired,
    run_sums_of_month,
    store_retired_sums,
)


def list_event_months(engine: Engine) -> EventMonths:
    """Return how the months stand, oldest first."""
    with read_snapshot(engine) as connection:
        return EventMonths(event_months(connection), list_retired(connection))


def check_retirable(engine: Engine, month: int, *, with_unresolved: bool) -> EventMonth:
    """Return how a month stands. Raises NotFoundError, StillOpenError and UnresolvedUsageError if it can not be retired."""
    with read_snapshot(engine) as connection:
        return _checked(connection, month, with_unresolved=with_unresolved)


def retire_month(engine: Engine, month: int, export: EventExport | None, *, with_unresolved: bool, now: int) -> Retirement:
    """Take a month's events out of the log; ``export`` is where they were written, None: nowhere.

    Raises NotFoundError, StillOpenError, UnresolvedUsageError, SumsDifferError, and MonthChangedError where events came since
    the export.
    """
    before = database_bytes(engine)
    with exclusive_write(engine) as connection:
        # Claims first: whoever finds a copy through one holds it, and would wait for the month while this waits for the claim.
        move_claims_to_retired(connection, month)
        lock_month(connection, month)
        _checked(connection, month, with_unresolved=with_unresolved)
        retired = _retire(connection, month, export, now)
    vacuum(engine)
    return Retirement(retired, before, database_bytes(engine))


def _retire(connection: Connection, month: int, export: EventExport | None, now: int) -> RetiredMonth:
    facts = month_facts(connection, month)
    if export is not None and export.facts != facts:
        raise MonthChangedError(
            f"events of {format_month(month)} came or were charged while it was written to {export.directory}; nothing was"
            " taken out of the log: take that folder away and retire the month again"
        )
    rollups = []
    for day in range(first_day(month), first_day(next_month(month))):
        if wrong := next(rollups_of_day_match_ledger(connection, day), None):
            raise SumsDifferError(f"{wrong.message}; `metering verify` says more, and nothing was taken out of the log")
        rollups += [(*key, *sums) for key, sums in ledger_sums(connection, day).items()]
    where, digest = ("", "") if export is None else (str(export.directory.resolve()), export.digest)
    retired = RetiredMonth(month, facts.events, facts.copies, facts.charges, facts.last_id, where, digest, now)
    store_retired_sums(connection, rollups, run_sums_of_month(connection, month), retired)
    delete_month(connection, month)
    return retired


def _checked(connection: Connection, month: int, *, with_unresolved: bool) -> EventMonth:
    for found in event_months(connection, [month]):
        if found.stored_events:
            found.check(with_unresolved=with_unresolved)
            return found
    raise NotFoundError(f"there are no events of {format_month(month)} in the log; `metering retention list` shows the months")
