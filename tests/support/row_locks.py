"""Waiting for one transaction to block on another, in tests on PostgreSQL."""

import time


def wait_until_blocked(engine):
    """Return once a transaction of this database waits for another one's row."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(3_000):
            if connection.exec_driver_sql(waiting).scalar_one():
                return
            time.sleep(0.01)
    raise AssertionError("no transaction waits")
