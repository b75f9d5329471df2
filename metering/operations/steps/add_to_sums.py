"""Adding to the rollups, and noting which days of which accounts were touched, in one transaction: what is counted is judged.

A process that ends right after the commit leaves the notes; whoever judges next finds them.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from metering.domain.usage.events import PriceGrade
from metering.operations.steps.roll_up import RollupDeltas
from metering.storage.charges.touched_days import TouchedDay, insert_touched_days
from metering.storage.usage.events import add_to_rollups
from metering.storage.usage.series import accounts_of_series

_UNPRICED = int(PriceGrade.UNPRICED)


def add_to_sums(connection: Connection, deltas: RollupDeltas, account_of: Mapping[int, int] | None = None) -> None:
    """Add up; ``account_of`` tells the account of each series where the caller knows it. Raises SumTooLargeError."""
    sums = deltas.sums()
    add_to_rollups(connection, sums)
    owners = account_of or accounts_of_series(connection, {key.series_id for key in sums})
    touched = {TouchedDay(owners[key.series_id], key.event_day, key.price_grade == _UNPRICED) for key in sums}
    insert_touched_days(connection, touched)
