"""Events with the charge that holds now, read in chunks along the index of (account, event time), as plain tuples.

Millions are read to be re-rated: a row object an event would take as long as everything else that is done with it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.storage.engine.sql import fetch_rows, is_in_list, list_parameter

ChargedEvent = tuple[int, int, int, int, int, int, int, str, str, int, int, int | None, int, int]
"""(event id, event time, quantity grade, the COLUMN_KINDS..., other quantities, details, then of its first charge: series id,
nano-USD, rate id, price grade, billing month)."""

Holding = tuple[int, int, int | None, int, int]
"""(series id, nano-USD, rate id, price grade, billing month) of the charge that holds now; unpriced weighs 0."""

_CHUNK = """
SELECT id, event_time, quantity_grade, input_tokens, cache_read_tokens, output_tokens, reasoning_tokens,
    other_quantities, details, series_id, coalesce(charge_nano, 0), rate_id, price_grade, billing_month
FROM events
WHERE account_id = ? AND event_time >= ? AND event_time < ? AND (event_time > ? OR id > ?){also}
ORDER BY event_time, id
LIMIT ?
"""
_OF_ACCOUNT = _CHUNK.format(also="")
# Without what its account had counted before, of which no charge holds.
_OF_UNASSIGNED = _CHUNK.format(also=" AND id NOT IN (SELECT event_id FROM assigned_events WHERE counted_as <> event_id)")
_ANY_BETWEEN = "SELECT 1 FROM charges WHERE event_id BETWEEN ? AND ? LIMIT 1"
_REPLACEMENTS = """
SELECT charges.event_id, charges.series_id, charges.amount_nano, charges.rate_id, charges.price_grade, charges.billing_month
FROM charges
WHERE charges.event_id {among} AND charges.sign = 1
ORDER BY charges.event_id, charges.id
"""


def charged_events(connection: Connection, account_id: int, after: tuple[int, int], end: int, limit: int) -> list[ChargedEvent]:
    """Return events of an account by (time, id) from the first after ``after``, before ``end``; first charges only."""
    event_time, event_id = after
    chunk = _OF_UNASSIGNED if account_id == UNASSIGNED_ID else _OF_ACCOUNT
    return fetch_rows(connection, chunk, (account_id, event_time, end, event_time, event_id, limit))


def current_replacements(connection: Connection, event_ids: Sequence[int]) -> dict[int, Holding]:
    """Return the last replacement of each of the events that has one."""
    # Events that arrived one after the other usually have none at all, which one look along the index tells.
    if not event_ids or not fetch_rows(connection, _ANY_BETWEEN, (min(event_ids), max(event_ids))):
        return {}
    found = fetch_rows(connection, _REPLACEMENTS.format(among=is_in_list(connection)), (list_parameter(connection, event_ids),))
    return {event_id: tuple(holding) for event_id, *holding in found}
