"""The database is opened so that acknowledged writes are durable, and only in ways that guarantee it."""

import sqlite3
import sys
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from metering.storage.engine import postgres_backend
from metering.storage.engine.backend import backend_of
from metering.storage.engine.database import (
    DatabaseUrlError,
    autocommit,
    concurrent_write,
    exclusive_write,
    migration_transaction,
    open_database,
    read_snapshot,
    without_password,
)
from metering.storage.engine.postgres_locks import WRITER_LOCK, dedicated_session, lock_exclusively
from support.builders import DAY, NOON, usage_event

SHOWN = ("transaction_isolation", "transaction_read_only")


def pragma(meter, name):
    with read_snapshot(meter.engine) as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize(("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
def test_commits_survive_a_power_cut_and_references_are_enforced(bare_meter, name, value):
    assert pragma(bare_meter, name) == value


def durability_of(connection):
    """The settings that make a commit of this connection durable."""
    if backend_of(connection).name == "sqlite":
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous")]
    return durability_of_postgres(connection)


def durability_of_postgres(connection):
    return connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()


def durable(meter):
    return ["wal", 2] if meter.on_sqlite else "on"


def test_every_commit_of_every_kind_of_writer_is_durable(meter):
    committed = []
    event.listen(meter.engine, "commit", lambda connection: committed.append(durability_of(connection)))
    for way in (exclusive_write, concurrent_write, migration_transaction):
        with way(meter.engine):
            pass
    meter.ingest(*(usage_event(time=NOON - 30 * DAY) for _ in range(300)))
    meter.rerate()
    meter.close(202610)
    assert len(committed) > 6
    assert {str(each) for each in committed} == {str(durable(meter))}


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("where", ["server", "database", "url"])
def test_a_commit_is_durable_even_if_the_default_is_not(bare_meter, where):
    url = make_url(bare_meter.url)
    if where == "database":
        bare_meter.execute(f"ALTER DATABASE {url.database} SET synchronous_commit = off")
    if where == "url":
        url = url.update_query_dict({"options": "-c synchronous_commit=off"})
    with closing_engine(create_engine(url.set(drivername="postgresql+psycopg"))) as plain, plain.connect() as connection:
        default = durability_of_postgres(connection)
    if where == "server" and default != "off":
        pytest.skip("this server's default is durable")
    assert default == "off"
    with closing_engine(open_database(url.render_as_string(hide_password=False))) as engine:
        for way in (exclusive_write, concurrent_write, migration_transaction, autocommit):
            with way(engine) as connection:
                assert durability_of(connection) == "on"
        with dedicated_session(engine) as session:
            assert durability_of(session) == "on"


@pytest.mark.only_on("postgresql")
def test_a_stricter_durability_is_kept(bare_meter):
    url = make_url(bare_meter.url).update_query_dict({"options": "-c synchronous_commit=remote_apply"})
    with (
        closing_engine(open_database(url.render_as_string(hide_password=False))) as engine,
        concurrent_write(engine) as connection,
    ):
        assert durability_of(connection) == "remote_apply"


@contextmanager
def closing_engine(engine):
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://localhost",
        "postgresql+asyncpg://localhost/x",
        "mysql://localhost/x",
        "nonsense",
        "",
    ],
)
def test_a_url_that_cannot_store_the_data_is_refused(url):
    with pytest.raises(DatabaseUrlError, match="METERING_DATABASE_URL"):
        open_database(url)


def end_other_sessions(meter):
    """End the idle sessions of the pool, as a restart of the server does."""
    another = open_database(meter.url)
    with another.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    another.dispose()


def answers(meter):
    with read_snapshot(meter.engine) as connection:
        return connection.exec_driver_sql("SELECT 7").scalar_one() == 7


@pytest.mark.only_on("postgresql")
def test_sessions_that_ended_while_idle_are_replaced_without_an_error(bare_meter, monkeypatch):
    with read_snapshot(bare_meter.engine), read_snapshot(bare_meter.engine):
        pass  # there are two
    end_other_sessions(bare_meter)
    monkeypatch.setattr(postgres_backend, "_ALIVE_SECONDS", 0)
    with read_snapshot(bare_meter.engine):
        # The ping of the first one failed, which invalidates the other too.
        monkeypatch.setattr(postgres_backend, "_ALIVE_SECONDS", 60)
        assert answers(bare_meter)


@pytest.mark.only_on("postgresql")
def test_a_session_that_ended_right_after_use_fails_one_transaction(bare_meter, monkeypatch):
    monkeypatch.setattr(postgres_backend, "_ALIVE_SECONDS", 60)
    with read_snapshot(bare_meter.engine), read_snapshot(bare_meter.engine):
        pass  # there are two
    end_other_sessions(bare_meter)
    with pytest.raises(OperationalError):
        answers(bare_meter)
    assert answers(bare_meter)


def test_autocommit_reads_what_is_committed_when_each_statement_runs(bare_meter):
    with autocommit(bare_meter.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM receipts").scalar_one() == 0
        bare_meter.ingest(usage_event())
        if not bare_meter.on_sqlite:  # where a snapshot costs nothing, it is one
            assert connection.exec_driver_sql("SELECT count(*) FROM receipts").scalar_one() == 1


def test_an_error_about_a_url_never_shows_its_password():
    with pytest.raises(DatabaseUrlError) as refused:
        open_database("postgresql+pg8000://user:secret@host/db")
    assert "secret" not in str(refused.value)


def test_a_reader_sees_one_snapshot_while_others_write(bare_meter):
    with read_snapshot(bare_meter.engine) as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one()
        bare_meter.declare("acme")
        assert connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one() == before
    with read_snapshot(bare_meter.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one() == before + 1


@pytest.mark.only_on("sqlite")
def test_a_writer_locks_the_database_from_the_start(bare_meter):
    with exclusive_write(bare_meter.engine), closing(sqlite3.connect(bare_meter.engine.url.database, timeout=0)) as other:
        other.isolation_level = None
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def test_an_error_rolls_back_what_was_written(bare_meter):
    with pytest.raises(RuntimeError), exclusive_write(bare_meter.engine) as connection:
        connection.exec_driver_sql("INSERT INTO sources (name) VALUES ('x')")
        raise RuntimeError
    assert bare_meter.rows(_count("sources"))[0][0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts (default_route, created_at) VALUES ('sideways', 0)",
        "INSERT INTO account_names (name, account_id, valid_from) VALUES ('x', 99, 0)",
        "INSERT INTO account_names (name, account_id, valid_from) VALUES ('', 1, 5)",
        "INSERT INTO account_names (name, account_id, valid_from, valid_to) VALUES ('x', 1, 5, 5)",
        "UPDATE events SET charge_nano = 9007199254740992",
        "UPDATE events SET charge_nano = -1",
        "UPDATE events SET charge_nano = NULL",
        "UPDATE events SET price_grade = 1",
        "UPDATE events SET input_tokens = -1",
        "UPDATE events SET billable = 2",
        "UPDATE rollups SET amount_nano = 'much'",
    ],
)
def test_the_database_itself_refuses_invalid_rows(meter, statement):
    meter.ingest(usage_event())
    with pytest.raises(DBAPIError):
        meter.execute(statement)


@pytest.mark.only_on("sqlite")  # PostgreSQL rounds a fraction that is assigned to an integer
@pytest.mark.parametrize(
    "statement", ["INSERT INTO sources (id, name) VALUES (1.5, 'x')", "UPDATE events SET charge_nano = 0.5"]
)
def test_a_strict_table_refuses_a_fraction(meter, statement):
    meter.ingest(usage_event())
    with pytest.raises(DBAPIError):
        meter.execute(statement)


@pytest.mark.parametrize(
    "url",
    ["postgresql://user:secret@host/db", "postgresql://user@host/db?password=secret", "postgresql:///db?sslpassword=secret"],
)
def test_a_url_is_shown_without_its_password(url):
    assert "secret" not in without_password(url)
    assert "db" in without_password(url)


def test_a_missing_postgres_driver_is_reported_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseUrlError, match=r"pip install 'hf-metering\[postgres\]'"):
        open_database("postgresql://host/db")


@pytest.mark.only_on("postgresql")
def test_reads_get_custom_plans_and_writers_keep_theirs(bare_meter):
    modes = []
    for transaction in (read_snapshot, concurrent_write):
        with transaction(bare_meter.engine) as connection:
            modes.append(connection.exec_driver_sql("SHOW plan_cache_mode").scalar_one())
    assert modes == ["force_custom_plan", "auto"]


@pytest.mark.only_on("postgresql")
def test_a_reader_on_postgres_has_one_snapshot_and_cannot_write(bare_meter):
    with read_snapshot(bare_meter.engine) as connection:
        shown = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in SHOWN]
        with pytest.raises(DBAPIError, match="read-only"):
            connection.exec_driver_sql("INSERT INTO sources (name) VALUES ('x')")
    assert shown == ["repeatable read", "on"]


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("way", [exclusive_write, concurrent_write])
def test_a_writer_on_postgres_sees_what_others_have_committed(bare_meter, way):
    with way(bare_meter.engine) as connection:
        assert [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in SHOWN] == ["read committed", "off"]


@pytest.mark.only_on("postgresql")
def test_a_second_exclusive_writer_waits_and_a_concurrent_one_does_not(bare_meter):
    with exclusive_write(bare_meter.engine):
        with concurrent_write(bare_meter.engine) as other_writer:
            other_writer.exec_driver_sql("INSERT INTO sources (name) VALUES ('other')")
        with pytest.raises(DBAPIError, match="lock timeout"), concurrent_write(bare_meter.engine) as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            lock_exclusively(other, WRITER_LOCK)


@pytest.mark.only_on("postgresql")
def test_a_sum_of_integers_is_an_integer_however_large(bare_meter):
    sums = bare_meter.rows(text("SELECT sum(x) FROM (VALUES (9223372036854775807), (9223372036854775807)) AS v(x)"))
    assert sums == [(18446744073709551614,)]
    assert type(sums[0][0]) is int


def _count(table):
    return text(f"SELECT count(*) FROM {table}")
