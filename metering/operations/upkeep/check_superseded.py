"""Superseded events do not count, and the event that counts in their place does."""

from collections.abc import Iterator

from sqlalchemy import Connection

from metering.domain.instants import month_of
from metering.domain.violations import Violation
from metering.operations.upkeep.check_events import CHUNK
from metering.storage.charges.charges import later_entries
from metering.storage.charges.superseded_events import SupersededEvent, superseded_after
from metering.storage.usage.event_rows import ids_still_in_log
from metering.storage.usage.retired_months import list_retired, retired_events


def superseded_events_do_not_count(connection: Connection) -> Iterator[Violation]:
    """The newest entry of a superseded event is a reversal, and the event that counts instead is stored or retired."""
    retired, after = retired_events(connection), 0
    # The event that counts instead can be in another month, which was retired.
    last_retired = max((each.last_id for each in list_retired(connection)), default=0)
    while rows := superseded_after(connection, after=after, limit=CHUNK):
        replacements = [row.superseded_by for row in rows if row.superseded_by is not None]
        stored = ids_still_in_log(connection, [*(row.event_id for row in rows), *replacements])
        later = later_entries(connection, [row.event_id for row in rows])
        for row in rows:
            if month_of(row.event_time) in retired:
                continue
            entries = later.get(row.event_id)
            if row.event_id in stored and (entries is None or entries[-1].sign > 0):
                yield _violation("superseded_counts", row, "a reversal", "a charge", "is superseded and still counts")
            if row.superseded_by is not None and row.superseded_by not in stored and row.superseded_by > last_retired:
                problem = f"is superseded by event {row.superseded_by}, which is not in the log"
                yield _violation("superseding_missing", row, f"event {row.superseded_by}", "none", problem)
        after = rows[-1].event_id


def _violation(code: str, row: SupersededEvent, expected: str, got: str, problem: str) -> Violation:
    return Violation(code, f"event {row.event_id}", expected, got, f"event {row.event_id} {problem}")
