"""Writing whose events of ``unassigned`` are by now: a reversal there, a replacement in the account's series.

Where the account had counted the request before, there is a reversal and no replacement. The reversal is billed where nobody
is: ``unassigned`` has no statements. The replacement is billed in the event's month, or in the account's first open one.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.roll_up import RollupDeltas
from metering.operations.usage.inspect_unassigned import UnassignedEvent
from metering.operations.usage.match_in_account import AccountMatches
from metering.storage.charges.charges import ChargeEntry, insert_charges
from metering.storage.usage.assigned_events import insert_assigned

REASON = "assigned"
REASON_COUNTED = "counted in the account before"


def write_assignment(
    connection: Connection,
    waiting: Sequence[UnassignedEvent],
    counted: AccountMatches,
    series_of: Callable[[UnassignedEvent], int],
    *,
    closed_through: int | None,
    now: int,
) -> None:
    """Append charges and assignments, and add to the rollups, within a write transaction."""
    deltas = RollupDeltas()
    written: dict[str, list[ChargeEntry]] = {REASON: [], REASON_COUNTED: []}
    for each in waiting:
        assigned = counted.assigned.get(each.row.id)
        if assigned is None:
            continue
        back = each.entry.reversed()
        _roll_up(deltas, each, back, each.row.route)
        if not assigned.is_counted:
            written[REASON_COUNTED].append(back)
            continue
        charge, month = each.charge, each.billed_in(closed_through)
        placed = ChargeEntry(each.row.id, series_of(each), 1, charge.amount_nano or 0, charge.rate_id, charge.grade, month)
        _roll_up(deltas, each, placed, each.wanted.route)
        written[REASON] += (back, placed)
    for reason, entries in written.items():
        insert_charges(connection, entries, reason=reason, now=now)
    insert_assigned(connection, list(counted.assigned.values()), now=now)
    add_to_sums(connection, deltas)


def _roll_up(deltas: RollupDeltas, each: UnassignedEvent, entry: ChargeEntry, route: str) -> None:
    grade, time = each.row.quantity_grade, each.row.event_time
    deltas.add_entry(entry, each.quantities, route=route, quantity_grade=grade, event_time=time)
