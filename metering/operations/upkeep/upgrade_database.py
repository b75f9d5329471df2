"""Upgrade a database to this release: its schema, then the bundled prices."""

from importlib import import_module

from sqlalchemy import Engine

from metering.operations.prices.expand_discounts import expand_discounts
from metering.operations.steps.ensure_partitions import ensure_partitions
from metering.storage.engine.database import exclusive_write
from metering.storage.engine.schema_revision import current_revision, head_revision, refuse_newer
from metering.storage.prices.price_tables import digests_by_id, record_tables
from pricing.bundled import bundled_tables


def upgrade_database(engine: Engine, *, now: int) -> int:
    """Migrate to the newest schema and record the bundled price tables; return how many tables were new.

    A bundled table is recorded once: prices that were corrected since then stay corrected. Raises SchemaOutOfDateError for a
    database that a newer release upgraded.
    """
    refuse_newer(current_revision(engine), head_revision())
    import_module("metering.storage.engine.migrate").upgrade(engine)  # Alembic is slow to import, and rarely needed
    ensure_partitions(engine, now=now)
    with exclusive_write(engine) as connection:
        known = set(digests_by_id(connection).values())
        fresh = [table for table in bundled_tables() if table.digest not in known]
        table_ids = record_tables(connection, fresh, now=now)
        expand_discounts(connection, table_ids, now=now)
        return len(table_ids)
