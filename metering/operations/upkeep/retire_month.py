"""Retire a month: remove its events from the log, once nothing in it can change.

Rollups, statements and identities stay, so spend, statements and duplicates are as before. One transaction checks that the
rollups match the events, keeps their sums, and removes the events.
"""

from sqlalchemy import Connection, Engine

from metering.domain.charges.ledger_sums import LedgerSums, RollupKey
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
    """Return the months of events and the retirements, oldest first."""
    with read_snapshot(engine) as connection:
        return EventMonths(event_months(connection), list_retired(connection))


def check_retirable(engine: Engine, month: int, *, with_unresolved: bool) -> EventMonth:
    """Return a month's state. Raises NotFoundError, StillOpenError or UnresolvedUsageError if it cannot be retired."""
    with read_snapshot(engine) as connection:
        return _checked(connection, month, with_unresolved=with_unresolved)


def retire_month(engine: Engine, month: int, export: EventExport | None, *, with_unresolved: bool, now: int) -> Retirement:
    """Remove a month's events from the log. ``export`` is their export, None: they were not exported.

    Raises NotFoundError, StillOpenError, UnresolvedUsageError, SumsDifferError, and MonthChangedError if events arrived after
    the export.
    """
    before = database_bytes(engine)
    with exclusive_write(engine) as connection:
        # Claims first: an ingest that finds a copy through a claim has locked it, and would wait for the month while this waits
        # for the claim.
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
            f"events of {format_month(month)} arrived or were charged during the export to {export.directory}; nothing was"
            " removed from the log. Remove that folder and retire the month again"
        )
    sums: dict[RollupKey, LedgerSums] = {}
    for day in range(first_day(month), first_day(next_month(month))):
        if wrong := next(rollups_of_day_match_ledger(connection, day), None):
            raise SumsDifferError(f"{wrong.message}; nothing was removed from the log. Run `metering verify` for details")
        sums |= ledger_sums(connection, day)
    where, digest = ("", "") if export is None else (str(export.directory.resolve()), export.digest)
    retired = RetiredMonth(month, facts.events, facts.copies, facts.charges, facts.last_id, where, digest, now)
    store_retired_sums(connection, sums, run_sums_of_month(connection, month), retired)
    delete_month(connection, month)
    return retired


def _checked(connection: Connection, month: int, *, with_unresolved: bool) -> EventMonth:
    for found in event_months(connection, [month]):
        if found.stored_events:
            found.check(with_unresolved=with_unresolved)
            return found
    raise NotFoundError(f"no events of {format_month(month)} in the log; `metering retention list` shows the months")
