"""The same commands on PostgreSQL: a log is ingested, priced, billed and verified, and no password is ever shown."""

import pytest

from support.request_records import request

pytestmark = pytest.mark.only_on("postgresql")


@pytest.fixture
def on_postgres(command_line, databases):
    url = databases.bare()
    command_line.environment["METERING_DATABASE_URL"] = url
    yield command_line
    databases.drop(url)


def test_a_month_from_its_log_to_its_statement(on_postgres):
    log = on_postgres.write_log([request(number, project=f"p{number % 3}") for number in range(1, 31)])
    assert on_postgres.json("ingest", log, "--account", "acme", "--plan", "pro")["total"]["accepted"] == 30
    assert on_postgres.json("ingest", log, "--account", "acme")["total"]["duplicate"] == 30
    # 30 requests of $0.00104.
    (row,) = on_postgres.json("spend", "--start", "2026-11-01", "--end", "2026-12-01")["rows"]
    assert (row["events"], row["amount_nano_usd"]) == (30, 31_200_000)
    assert "acme, 2026-11 (draft), plan pro" in on_postgres.done("statements", "show", "acme", "2026-11")
    assert on_postgres.json("verify")["ok"]
    assert on_postgres.json("db", "upgrade")["price_tables_added"] == 0


def test_a_database_without_a_schema_is_refused_with_a_hint(on_postgres):
    on_postgres.run("spend")
    assert on_postgres.code == 2
    assert "`metering db upgrade`" in on_postgres.errors


@pytest.mark.parametrize("command", ["spend", "db upgrade"])
@pytest.mark.parametrize(
    "url", ["postgresql://user:hunter2@127.0.0.1:9/metering", "postgresql://user@127.0.0.1:9/metering?password=hunter2"]
)
def test_an_unreachable_server_is_reported_in_one_line_without_the_password(command_line, databases, command, url):
    command_line.environment["METERING_DATABASE_URL"] = url
    command_line.run(*command.split())
    assert command_line.code == 2
    assert command_line.errors.startswith("error[database_error]: postgresql://user")
    assert "hunter2" not in command_line.errors
