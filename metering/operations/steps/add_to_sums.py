"""Add to the rollups and note the touched days in one transaction, so that budgets are evaluated for all counted usage.

If the process ends after the commit, the next evaluation finds the notes.
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
    """Add ``deltas``. ``account_of`` maps series to accounts, if the caller knows them. Raises SumTooLargeError."""
    sums = deltas.sums()
    add_to_rollups(connection, sums)
    accounts = account_of or accounts_of_series(connection, {key.series_id for key in sums})
    touched = {TouchedDay(accounts[key.series_id], key.event_day, key.price_grade == _UNPRICED) for key in sums}
    insert_touched_days(connection, touched)
