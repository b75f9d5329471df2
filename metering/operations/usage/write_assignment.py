"""Write an assignment: a reversal on ``unassigned``, a replacement in the account's series.

If the account has counted the request before, only the reversal is written. The reversal is never billed: ``unassigned`` has no
statements. The replacement is billed in the event's month, or in the account's first open month if that is closed.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.roll_up import RollupDeltas
from metering.operations.usage.inspect_unassigned import UnassignedEvent
from metering.operations.usage.match_in_account import AccountMatches
from metering.storage.charges.charges import ChargeEntry, insert_charges
from metering.storage.usage.assigned_events import insert_assigned

# Stored with the charges.
REASON_ASSIGNED = "assigned"
REASON_COUNTED = "counted in the account before"


def write_assignment(
    connection: Connection,
    candidates: Sequence[UnassignedEvent],
    matches: AccountMatches,
    series_of: Callable[[UnassignedEvent], int],
    *,
    closed_through: int | None,
    now: int,
) -> None:
    """Append charges and assignments, and update the rollups. Needs a write transaction."""
    deltas = RollupDeltas()
    entries_by_reason: dict[str, list[ChargeEntry]] = {REASON_ASSIGNED: [], REASON_COUNTED: []}
    for each in candidates:
        assigned = matches.assigned.get(each.row.id)
        if assigned is None:
            continue
        reversal = each.entry.reversed()
        _roll_up(deltas, each, reversal, each.route)
        if not assigned.is_counted:
            entries_by_reason[REASON_COUNTED].append(reversal)
            continue
        charge, month = each.charge, each.billed_in(closed_through)
        replacement = ChargeEntry(each.row.id, series_of(each), 1, charge.amount_nano or 0, charge.rate_id, charge.grade, month)
        _roll_up(deltas, each, replacement, each.target_series.route)
        entries_by_reason[REASON_ASSIGNED] += (reversal, replacement)
    for reason, entries in entries_by_reason.items():
        insert_charges(connection, entries, reason=reason, now=now)
    insert_assigned(connection, list(matches.assigned.values()), now=now)
    add_to_sums(connection, deltas)


def _roll_up(deltas: RollupDeltas, each: UnassignedEvent, entry: ChargeEntry, route: str) -> None:
    grade, time = each.row.quantity_grade, each.row.event_time
    deltas.add_entry(entry, each.quantities, route=route, quantity_grade=grade, event_time=time)
