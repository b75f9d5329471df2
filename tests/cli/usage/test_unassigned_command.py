"""``metering accounts unassigned`` and ``assign``: a log that was ingested before its account was declared."""

import pytest

from support.request_records import LLAMA, request

EACH = {"amount_nano_usd": 1_040_000, "amount_usd": "0.001040000"}


@pytest.fixture
def arrived(command_line):
    """A log with two requests of ``acme-prod`` and one without an account; acme is declared afterwards."""
    records = [request(1, account="acme-prod"), request(2, account="acme-prod", project="search"), request(3, account=None)]
    command_line.done("ingest", command_line.write_log(records))
    command_line.done("accounts", "create", "acme")
    return command_line


def test_ingest_points_to_the_commands_for_unassigned_usage(command_line):
    shown = command_line.done("ingest", command_line.write_log([request(1, account="acme-prod")]))
    assert "account not declared: see `metering accounts unassigned`, then `metering accounts assign`" in shown


def test_unassigned_usage_is_shown_by_the_name_in_its_records(arrived):
    (nameless, named) = arrived.json("accounts", "unassigned")["items"]
    assert (nameless["name"], nameless["events"], named["name"], named["events"]) == ("", 1, "acme-prod", 2)
    assert {name: nameless[name] for name in EACH} == EACH
    shown = arrived.done("accounts", "unassigned").splitlines()
    assert [line.split()[0] for line in shown if "requests.ndjson" in line] == ["(none)", "acme-prod"]


def test_an_assignment_is_previewed_before_it_is_written(arrived):
    shown = arrived.done("accounts", "assign", "acme", "--name", "acme-prod")
    assert "preview only; add --apply to write it, which cannot be undone" in shown
    assert LLAMA in shown
    assert [row["name"] for row in arrived.json("accounts", "unassigned")["items"]] == ["", "acme-prod"]
    previewed = arrived.json("accounts", "assign", "acme", "--name", "acme-prod")
    assert (previewed["applied"], previewed["total"]["events"], previewed["total"]["after_nano_usd"]) == (False, 2, 2_080_000)
    written = arrived.json("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert written == {**previewed, "applied": True}
    assert "no unassigned usage matches" in arrived.done("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert "OK: " in arrived.done("verify")


def test_records_without_a_name_and_part_of_a_name_can_be_assigned(arrived):
    shown = arrived.done("accounts", "assign", "acme", "--without-name", "--apply")
    assert "assigned 1 request to acme" in shown
    assert (
        arrived.json("accounts", "assign", "acme", "--name", "acme-prod", "--project", "search", "--apply")["total"]["events"]
        == 1
    )
    assert [row["events"] for row in arrived.json("accounts", "unassigned")["items"]] == [1]
    arrived.done("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert arrived.done("accounts", "unassigned") == "no usage is unassigned\n"


def test_usage_that_was_ingested_twice_is_only_reversed(arrived):
    """Ingesting the log again with the accounts created counts everything twice, until the usage is assigned."""
    again = [request(1, account="acme-prod"), request(2, account="acme-prod", project="search")]
    arrived.done("ingest", arrived.write_log(again), "--create-accounts")
    shown = arrived.done("accounts", "assign", "acme-prod", "--name", "acme-prod", "--apply")
    assert "2 requests that acme-prod had counted before were only reversed: $0.00208" in shown
    rows = {row["group"]["account"]: row["events"] for row in arrived.json("spend", "--by", "account")["rows"]}
    assert rows["acme-prod"] == 2
    assert "OK: " in arrived.done("verify")


def test_a_record_that_conflicts_with_a_counted_one_stays_unassigned(arrived):
    arrived.done("ingest", arrived.write_log([request(1, usage={"input_tokens": 1})]), "--source", "requests.ndjson")
    shown = arrived.done("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert "1 request stays unassigned: acme has counted different content under its ID" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("acme",),
        ("acme", "--name", "x", "--without-name"),
        ("nobody", "--name", "x"),
        ("unassigned", "--name", "x"),
        ("acme", "--name", "x", "--from", "2026-11-03", "--to", "2026-11-03"),
    ],
)
def test_an_invalid_request_is_refused(arrived, arguments):
    arrived.run("accounts", "assign", *arguments)
    assert arrived.code == 2
    assert arrived.errors.startswith("error[")
