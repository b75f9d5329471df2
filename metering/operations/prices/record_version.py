"""Record a new version of a source's prices, with discounts and alert, in the caller's transaction."""

import json
from typing import Any

from sqlalchemy import Connection

from metering.domain.instants import format_instant
from metering.domain.prices.change_data import changes_as_shown
from metering.operations.prices.expand_discounts import expand_discounts
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.alerts.alerts import NewAlert
from metering.storage.prices.price_tables import record_tables, table_by_digest
from pricing.tables import PriceTable

PRICE_CHANGED = "price.changed"
SHOWN_CHANGES = 20


def record_version(connection: Connection, table: PriceTable, changes: list[dict[str, Any]], *, now: int) -> int:
    """Record a table, and raise the alert that prices changed; return the table's id.

    A table that is already in effect is not recorded again, and the id of the existing one is returned. ``changes`` is what the
    table changes, as stored; the alert contains the first of them.
    """
    recorded = record_tables(connection, [table], now=now)
    expand_discounts(connection, recorded, now=now)
    table_id = recorded[0] if recorded else table_by_digest(connection, table.digest)
    data = {
        "source": table.source,
        "table_id": table_id,
        "effective_from": format_instant(table.effective_from),
        "changes": len(changes),
        "first_changes": changes_as_shown(changes[:SHOWN_CHANGES]),
    }
    alert = NewAlert(PRICE_CHANGED, f"price_table:{table_id}", table.effective_from, json.dumps(data))
    raise_alert(connection, alert, now=now)
    return table_id
