"""Bring a database to this release: its schema, then the prices that the release carries."""

from sqlalchemy import Engine

from metering.operations.steps.ensure_partitions import ensure_partitions
from metering.storage.database import writing
from metering.storage.migrate import upgrade
from metering.storage.price_tables import record_tables
from pricing.bundled import bundled_tables


def upgrade_database(engine: Engine, *, now: int) -> int:
    """Migrate to the newest schema and record the bundled price tables; return how many tables were new."""
    upgrade(engine)
    ensure_partitions(engine, now=now)
    with writing(engine) as connection:
        return len(record_tables(connection, bundled_tables(), now=now))
