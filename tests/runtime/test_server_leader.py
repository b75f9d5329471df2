"""On PostgreSQL one process leads; when its session ends, for whatever reason, another one takes over."""

import pytest

from metering.runtime.server_leader import ServerLeader
from metering.storage.engine.database import exclusive_write, open_database

pytestmark = pytest.mark.only_on("postgresql")


@pytest.fixture
def leaders(bare_meter):
    """Two processes on one database."""
    engines = [open_database(bare_meter.url) for _ in range(2)]
    made = [ServerLeader(engine) for engine in engines]
    yield made
    for leader, engine in zip(made, engines, strict=True):
        leader.release()
        engine.dispose()


def test_one_process_leads_and_stays_the_leader(leaders):
    first, second = leaders
    assert [first.is_leader(), second.is_leader(), first.is_leader(), second.is_leader()] == [True, False, True, False]


def test_releasing_lets_another_process_lead(leaders):
    first, second = leaders
    assert first.is_leader()
    first.release()
    assert second.is_leader()
    assert not first.is_leader()


def test_a_leader_whose_session_ended_stops_leading_and_another_takes_over(leaders, bare_meter):
    first, second = leaders
    assert first.is_leader()
    with exclusive_write(bare_meter.engine) as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
    assert second.is_leader()
    assert not first.is_leader()


def test_an_unreachable_server_has_no_leader():
    assert not ServerLeader(open_database("postgresql://nobody@127.0.0.1:9/none")).is_leader()
