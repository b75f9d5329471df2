"""``metering accounts unassigned`` and ``assign``: a log that was read before its account was declared."""

import pytest

from support.request_records import LLAMA, request

EACH = {"amount_nano_usd": 1_040_000, "amount_usd": "0.001040000"}


@pytest.fixture
def arrived(command_line):
    """A log with two requests of ``acme-prod`` and one of nobody; acme is declared afterwards."""
    records = [request(1, account="acme-prod"), request(2, account="acme-prod", project="search"), request(3, account=None)]
    command_line.done("ingest", command_line.write_log(records))
    command_line.done("accounts", "create", "acme")
    return command_line


def test_ingest_says_what_can_be_done_about_it(command_line):
    shown = command_line.done("ingest", command_line.write_log([request(1, account="acme-prod")]))
    assert "`metering accounts unassigned` names them, `accounts assign` says whose" in shown


def test_it_is_shown_by_the_name_that_records_gave(arrived):
    (nameless, named) = arrived.json("accounts", "unassigned")["unassigned"]
    assert (nameless["name"], nameless["events"], named["name"], named["events"]) == ("", 1, "acme-prod", 2)
    assert {name: nameless[name] for name in EACH} == EACH
    shown = arrived.done("accounts", "unassigned").splitlines()
    assert [line.split()[0] for line in shown if "requests.ndjson" in line] == ["(none)", "acme-prod"]


def test_what_would_change_is_shown_before_it_is_written(arrived):
    shown = arrived.done("accounts", "assign", "acme", "--name", "acme-prod")
    assert "nothing was written: --apply does it, and it can not be undone" in shown
    assert LLAMA in shown
    assert [row["name"] for row in arrived.json("accounts", "unassigned")["unassigned"]] == ["", "acme-prod"]
    previewed = arrived.json("accounts", "assign", "acme", "--name", "acme-prod")
    assert (previewed["applied"], previewed["total"]["events"], previewed["total"]["after_nano_usd"]) == (False, 2, 2_080_000)
    written = arrived.json("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert written == {**previewed, "applied": True}
    assert "nothing like it is unassigned" in arrived.done("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert "OK: " in arrived.done("verify")


def test_records_without_a_name_and_some_of_a_name_are_assigned_too(arrived):
    shown = arrived.done("accounts", "assign", "acme", "--without-name", "--apply")
    assert "1 request is acme's now" in shown
    assert (
        arrived.json("accounts", "assign", "acme", "--name", "acme-prod", "--project", "search", "--apply")["total"]["events"]
        == 1
    )
    assert [row["events"] for row in arrived.json("accounts", "unassigned")["unassigned"]] == [1]
    arrived.done("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert arrived.done("accounts", "unassigned") == "everything is assigned\n"


def test_a_log_that_was_read_again_is_only_taken_back(arrived):
    """The way it was before: read the log again with the accounts created, and everything is counted twice."""
    again = [request(1, account="acme-prod"), request(2, account="acme-prod", project="search")]
    arrived.done("ingest", arrived.write_log(again), "--create-accounts")
    shown = arrived.done("accounts", "assign", "acme-prod", "--name", "acme-prod", "--apply")
    assert "2 that acme-prod has counted before were only taken back: $0.00208" in shown
    rows = {row["group"]["account"]: row["events"] for row in arrived.json("spend", "--by", "account")["rows"]}
    assert rows["acme-prod"] == 2
    assert "OK: " in arrived.done("verify")


def test_a_record_that_contradicts_what_is_counted_stays(arrived):
    arrived.done("ingest", arrived.write_log([request(1, usage={"input_tokens": 1})]), "--source", "requests.ndjson")
    shown = arrived.done("accounts", "assign", "acme", "--name", "acme-prod", "--apply")
    assert "1 stay unassigned: acme has counted other content under their ids" in shown


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
def test_what_makes_no_sense_is_said(arrived, arguments):
    arrived.run("accounts", "assign", *arguments)
    assert arrived.code == 2
    assert arrived.errors.startswith("error[")
