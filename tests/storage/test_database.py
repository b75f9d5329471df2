"""The database is opened so that what is acknowledged survives, and only in ways that keep it."""

import sqlite3
from contextlib import closing

import pytest
from builders import usage_event
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from metering.storage.database import DatabaseUrlError, open_database, reading, writing


def pragma(meter, name):
    with reading(meter.engine) as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


@pytest.mark.parametrize(("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
def test_a_commit_survives_a_power_cut_and_references_are_kept(bare_meter, name, value):
    assert pragma(bare_meter, name) == value


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresql://localhost/x", "nonsense", ""])
def test_a_url_that_can_not_keep_the_data_is_refused(url):
    with pytest.raises(DatabaseUrlError, match="METERING_DATABASE_URL"):
        open_database(url)


def test_a_url_is_refused_without_its_password():
    with pytest.raises(DatabaseUrlError) as refused:
        open_database("postgresql://user:secret@host/db")
    assert "secret" not in str(refused.value)


def test_a_reader_sees_one_state_while_another_writes(bare_meter):
    with reading(bare_meter.engine) as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one()
        bare_meter.declare("acme")
        assert connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one() == before
    with reading(bare_meter.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one() == before + 1


def test_a_writer_holds_the_lock_from_its_beginning(bare_meter):
    with writing(bare_meter.engine), closing(sqlite3.connect(bare_meter.engine.url.database, timeout=0)) as other:
        other.isolation_level = None
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def test_an_error_rolls_back_what_was_written(bare_meter):
    with pytest.raises(RuntimeError), writing(bare_meter.engine) as connection:
        connection.exec_driver_sql("INSERT INTO sources (name) VALUES ('x')")
        raise RuntimeError
    assert bare_meter.rows(_count("sources"))[0][0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO sources (id, name) VALUES (1.5, 'x')",
        "INSERT INTO accounts (default_route, created_at) VALUES ('sideways', 0)",
        "INSERT INTO account_names (name, account_id, valid_from) VALUES ('x', 99, 0)",
        "INSERT INTO account_names (name, account_id, valid_from) VALUES ('', 1, 5)",
        "INSERT INTO account_names (name, account_id, valid_from, valid_to) VALUES ('x', 1, 5, 5)",
        "UPDATE events SET charge_nano = 9007199254740992",
        "UPDATE events SET charge_nano = -1",
        "UPDATE events SET charge_nano = NULL",
        "UPDATE events SET charge_nano = 0.5",
        "UPDATE events SET price_grade = 1",
        "UPDATE events SET input_tokens = -1",
        "UPDATE events SET billable = 2",
        "UPDATE rollups SET amount_nano = 'much'",
    ],
)
def test_the_database_itself_refuses_what_can_not_be(meter, statement):
    meter.ingest(usage_event())
    with pytest.raises(DBAPIError):
        meter.execute(statement)


def _count(table):
    return text(f"SELECT count(*) FROM {table}")
