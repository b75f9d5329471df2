"""``metering verify`` and ``metering db``: a sound database passes, a tampered one does not."""

import sqlite3

from metering.operations.upkeep.verify import CHECKS
from support.request_records import request


def test_a_sound_database_passes(command_line):
    command_line.done("ingest", command_line.write_log([request()]), "--account", "acme")
    answer = command_line.json("verify")
    assert (answer["ok"], answer["violations"]) == (True, [])
    assert command_line.done("verify") == f"OK: {len(CHECKS)} checks passed\n"


def test_a_missing_nano_dollar_fails_and_is_named(command_line):
    command_line.done("ingest", command_line.write_log([request()]), "--account", "acme")
    connection = sqlite3.connect(command_line.folder / "metering.db")
    with connection:
        connection.execute("UPDATE rollups SET amount_nano = amount_nano - 1")
    connection.close()
    output = command_line.run("verify")
    assert command_line.code == 1
    assert "1040000" in output
    assert "1039999" in output
    command_line.run("verify", "--json")
    assert command_line.code == 1


def test_an_upgrade_creates_a_database_and_does_nothing_the_second_time(first_command_line):
    first = first_command_line.json("db", "upgrade")
    assert first["price_tables_added"] > 0
    assert first_command_line.json("db", "upgrade") == {"revision": first["revision"], "price_tables_added": 0}


def test_a_database_of_another_release_is_refused_with_a_hint(command_line):
    command_line.done("db", "upgrade")
    connection = sqlite3.connect(command_line.folder / "metering.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    command_line.run("spend")
    assert command_line.code == 2
    assert command_line.errors.startswith("error[schema_out_of_date]: ")
    assert "`metering db upgrade`" in command_line.errors
