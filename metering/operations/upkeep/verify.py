"""Check on a live database that the invariants hold. Reads only.

Each check is a named function that returns violations; tests call the same ones. Each reads one snapshot of the database, so
that concurrent writes are not reported as violations.
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
from metering.operations.upkeep.check_superseded import superseded_events_do_not_count
from metering.storage.engine.database import read_snapshot
from pricing.errors import PricingError

MAX_VIOLATIONS = 100


class Check(NamedTuple):
    """A named check; ``find`` may report its progress."""

    name: str
    find: Callable[[Connection, Step], Iterator[Violation]]


def _without_progress(find: Callable[[Connection], Iterator[Violation]]) -> Callable[[Connection, Step], Iterator[Violation]]:
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
    Check("statements match facts", statements_match_facts),
    Check("nothing charged after close", _without_progress(nothing_is_charged_after_its_close)),
    Check("credits never overdrawn", _without_progress(ledger_is_never_overdrawn)),
)

CHECKS: tuple[Check, ...] = (
    Check("database", _without_progress(database_is_whole)),
    Check("references", _without_progress(references_resolve)),
    Check("rollups match ledger", rollups_match_ledger),
    Check("months match days", months_match_days),
    Check("spend matches events", spend_matches_events),
    Check("events", _events),
    Check("copies", _without_progress(every_copy_has_its_identity)),
    Check("identities", _without_progress(every_identity_has_an_owner)),
    Check("assigned events", _without_progress(assigned_events_count_once)),
    Check("superseded events", _without_progress(superseded_events_do_not_count)),
    Check("first charges", first_charges_follow_their_grades),
    Check("later charges", later_charges_undo_and_replace),
    Check("price tables match digests", _without_progress(tables_match_digests)),
    Check("re-rating runs", _without_progress(runs_match_charges)),
    *STATEMENT_CHECKS,
    Check("invoices match lines", _without_progress(invoices_match_lines)),
    Check("bridges add up", _without_progress(bridges_add_up)),
    Check("variances match items", _without_progress(variances_match_items)),
    Check("rounding within its limit", _without_progress(rounding_is_within_slack)),
)


def verify(
    engine: Engine,
    *,
    checks: tuple[Check, ...] = CHECKS,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> list[Violation]:
    """Return the violations in the order of the checks, at most MAX_VIOLATIONS per check.

    ``on_progress`` is called with a check's name, how much of it is done, and the total.
    """
    found = []
    for check in checks:
        step = partial(on_progress or _ignore_progress, check.name)
        step(0, 1)
        found += _run(engine, check, step)
        step(1, 1)
    return found


def _run(engine: Engine, check: Check, step: Step) -> list[Violation]:
    try:
        with read_snapshot(engine) as connection:
            return list(islice(check.find(connection, step), MAX_VIOLATIONS))
    except (DBAPIError, PricingError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        message = f"the check failed: {reason}"
        return [Violation("check_failed", check.name, "a result", "an error", message)]


def _ignore_progress(_check: str, _done: int, _total: int) -> None:
    """Do nothing."""
