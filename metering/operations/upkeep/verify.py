"""Prove on a live database that the invariants hold. Reads only.

Each check is a named function that returns violations; tests and the scheduled check call the same ones. Each reads one state
of the database, so that what is written meanwhile is no violation.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from metering.domain.violations import Violation
from metering.operations.upkeep.check_assigned import assigned_events_count_once
from metering.operations.upkeep.check_billing_months import events_are_billed_in_their_month, nothing_is_charged_after_its_close
from metering.operations.upkeep.check_charges import first_charges_follow_their_grades, later_charges_undo_and_replace
from metering.operations.upkeep.check_database import database_is_whole, references_resolve
from metering.operations.upkeep.check_events import (
    every_event_has_its_identity,
    failed_events_cost_nothing,
    over_events,
    series_match_account,
)
from metering.operations.upkeep.check_identities import every_copy_has_its_identity, every_identity_has_an_owner
from metering.operations.upkeep.check_price_tables import tables_match_digests
from metering.operations.upkeep.check_reconciliations import (
    bridges_add_up,
    invoices_match_lines,
    variances_match_items,
)
from metering.operations.upkeep.check_rerate_runs import runs_match_charges
from metering.operations.upkeep.check_rounding import rounding_is_within_slack
from metering.operations.upkeep.check_statements import ledger_is_never_overdrawn, statements_match_facts
from metering.operations.upkeep.check_sums import Step, months_match_days, rollups_match_ledger, spend_matches_events
from metering.storage.engine.database import read_snapshot
from pricing.errors import PricingError

MAX_VIOLATIONS = 100


class Check(NamedTuple):
    """A check by its name; ``find`` may tell how far it is."""

    name: str
    find: Callable[[Connection, Step], Iterator[Violation]]


def _plain(find: Callable[[Connection], Iterator[Violation]]) -> Callable[[Connection, Step], Iterator[Violation]]:
    return lambda connection, _: find(connection)


def _events(connection: Connection, step: Step) -> Iterator[Violation]:
    return over_events(
        connection,
        step,
        every_event_has_its_identity,
        series_match_account,
        failed_events_cost_nothing,
        events_are_billed_in_their_month,
    )


STATEMENT_CHECKS: tuple[Check, ...] = (
    Check("statements are what was closed", statements_match_facts),
    Check("nothing is charged after its close", _plain(nothing_is_charged_after_its_close)),
    Check("credits are never overdrawn", _plain(ledger_is_never_overdrawn)),
)

CHECKS: tuple[Check, ...] = (
    Check("database", _plain(database_is_whole)),
    Check("references", _plain(references_resolve)),
    Check("rollups are the ledger", rollups_match_ledger),
    Check("months are their days", months_match_days),
    Check("spend is the events", spend_matches_events),
    Check("events", _events),
    Check("copies", _plain(every_copy_has_its_identity)),
    Check("identities", _plain(every_identity_has_an_owner)),
    Check("assigned events", _plain(assigned_events_count_once)),
    Check("first charges", first_charges_follow_their_grades),
    Check("later charges", later_charges_undo_and_replace),
    Check("price tables are what was recorded", _plain(tables_match_digests)),
    Check("re-rating runs", _plain(runs_match_charges)),
    *STATEMENT_CHECKS,
    Check("invoices are their lines", _plain(invoices_match_lines)),
    Check("bridges lead across", _plain(bridges_add_up)),
    Check("variances are their items", _plain(variances_match_items)),
    Check("rounding is within its slack", _plain(rounding_is_within_slack)),
)


def verify(
    engine: Engine,
    *,
    checks: tuple[Check, ...] = CHECKS,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> list[Violation]:
    """Return what does not hold, in the order of the checks, at most MAX_VIOLATIONS a check; nothing: all is well.

    ``on_progress`` is told a check's name, how much of it is done, and of how much.
    """
    found = []
    for check in checks:
        tell = partial(on_progress or _nobody, check.name)
        tell(0, 1)
        found += _run(engine, check, tell)
        tell(1, 1)
    return found


def _run(engine: Engine, check: Check, step: Step) -> list[Violation]:
    try:
        with read_snapshot(engine) as connection:
            return list(islice(check.find(connection, step), MAX_VIOLATIONS))
    except (DBAPIError, PricingError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        message = f"the check could not be finished: {reason}"
        return [Violation("check_failed", check.name, "an answer", "an error", message)]


def _nobody(_check: str, _done: int, _of: int) -> None:
    """Nobody asked for progress."""
