"""Events with their current charge, read in chunks along the index of (account, event time).

Re-rating reads millions of them, so rows come from the driver and become named tuples without their constructors: a row object
of SQLAlchemy takes as long as all other work on an event.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.charges.rerating import RerateCursor
from metering.storage.charges.superseded_events import any_superseded
from metering.storage.engine.sql import fetch_rows, is_in_list, list_parameter


class CurrentCharge(NamedTuple):
    """The newest charge of an event; ``amount_nano`` is 0 if unpriced."""

    series_id: int
    amount_nano: int
    rate_id: int | None
    price_grade: int
    billing_month: int


class ChargedEvent(NamedTuple):
    """An event with its quantities, and its first charge in the fields of CurrentCharge."""

    event_id: int
    event_time: int
    quantity_grade: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    reasoning_tokens: int
    other_quantities: str
    details: str
    series_id: int
    amount_nano: int
    rate_id: int | None
    price_grade: int
    billing_month: int


_as_charged_event = partial(tuple.__new__, ChargedEvent)
_EXPRESSIONS = {"event_id": "id", "amount_nano": "coalesce(charge_nano, 0)"}
_SELECT = f"""
SELECT {", ".join(_EXPRESSIONS.get(name, name) for name in ChargedEvent._fields)}
FROM events
"""
_BY_ID = f"{_SELECT}WHERE id {{among}}"
_CHUNK = f"""{_SELECT}
WHERE account_id = ? AND event_time >= ? AND event_time < ? AND (event_time > ? OR id > ?){{also}}
ORDER BY event_time, id
LIMIT ?
"""
_COUNTED = " AND id NOT IN (SELECT event_id FROM superseded_events)"
_OF_ACCOUNT = _CHUNK.format(also="")
_OF_ACCOUNT_COUNTED = _CHUNK.format(also=_COUNTED)
# Leaves out repeats of events that the account had already counted, whose charges are reversed.
_OF_UNASSIGNED = _CHUNK.format(
    also=f"{_COUNTED} AND id NOT IN (SELECT event_id FROM assigned_events WHERE counted_as <> event_id)"
)
_ANY_BETWEEN = "SELECT 1 FROM charges WHERE event_id BETWEEN ? AND ? LIMIT 1"
_REPLACEMENTS = f"""
SELECT charges.event_id, {", ".join(f"charges.{name}" for name in CurrentCharge._fields)}
FROM charges
WHERE charges.event_id {{among}} AND charges.sign = 1
ORDER BY charges.event_id, charges.id
"""


def charged_events(
    connection: Connection, after: RerateCursor, end: int, limit: int, *, source_id: int | None = None
) -> list[ChargedEvent]:
    """Return events of an account after the cursor and before ``end``, by (time, ID), with their first charges.

    Superseded events are left out. ``source_id`` None: events of any source.
    """
    account_id, event_time, event_id = after
    chunk = _OF_UNASSIGNED
    if account_id != UNASSIGNED_ID:
        chunk = _OF_ACCOUNT_COUNTED if any_superseded(connection) else _OF_ACCOUNT
    parameters = [account_id, event_time, end, event_time, event_id, limit]
    if source_id is not None:
        chunk = chunk.replace("ORDER BY", "AND source_id = ? ORDER BY")
        parameters.insert(-1, source_id)
    rows = fetch_rows(connection, chunk, tuple(parameters))
    return list(map(_as_charged_event, rows))


def charged_events_by_id(connection: Connection, event_ids: Sequence[int]) -> dict[int, ChargedEvent]:
    """Return those of the events that are in the log, by ID, with their first charges."""
    rows = fetch_rows(connection, _BY_ID.format(among=is_in_list(connection)), (list_parameter(connection, event_ids),))
    return {event.event_id: event for event in map(_as_charged_event, rows)}


def current_replacements(connection: Connection, event_ids: Sequence[int]) -> dict[int, CurrentCharge]:
    """Return the last replacement of each event that has one."""
    # Events that arrived together usually have none, which one index lookup shows.
    if not event_ids or not fetch_rows(connection, _ANY_BETWEEN, (min(event_ids), max(event_ids))):
        return {}
    found = fetch_rows(connection, _REPLACEMENTS.format(among=is_in_list(connection)), (list_parameter(connection, event_ids),))
    return {event_id: CurrentCharge(*charge) for event_id, *charge in found}
