"""``metering accounts``: names, routes, plans."""

import pytest

from support.request_records import request


def test_an_account_is_declared_and_shown(command_line):
    made = command_line.json("accounts", "create", "acme", "--route", "routed")
    assert made == {
        "name": "acme",
        "default_route": "routed",
        "created_at": "2026-12-05T12:00:00.000000Z",
        "plan": "free",
        "seats": 1,
        "plan_changes": [],
    }
    assert command_line.json("accounts", "show", "acme") == made
    assert made in command_line.json("accounts", "list")["items"]


def test_a_route_counts_for_what_is_ingested_afterwards(command_line):
    command_line.done("accounts", "create", "acme")
    command_line.done("ingest", command_line.write_log([request(1, route=None)]))
    command_line.done("accounts", "set-route", "acme", "routed")
    command_line.done("ingest", command_line.write_log([request(2, route=None)]))
    answer = command_line.json("spend", "--by", "route")
    assert [(row["group"]["route"], row["events"]) for row in answer["rows"]] == [("routed", 1), ("unknown", 1)]


def test_a_plan_is_from_the_first_of_this_month_when_no_day_is_said(command_line):
    command_line.done("accounts", "create", "acme")
    shown = command_line.json("accounts", "set-plan", "acme", "team", "--seats", "5")
    assert shown["changes"] == [{"effective": "2026-12-01", "plan": "team", "seats": 5}]
    assert (shown["current"]["plan"], shown["current"]["seats"]) == ("team", 5)


def test_a_plan_of_the_future_is_not_today_s(command_line):
    command_line.done("accounts", "create", "acme")
    shown = command_line.json("accounts", "set-plan", "acme", "pro", "--from", "2027-01-01")
    assert shown["current"]["plan"] == "free"
    assert command_line.json("accounts", "show", "acme")["plan"] == "free"


def test_a_downgrade_in_mid_month_is_in_force_from_the_next_month(command_line):
    command_line.done("accounts", "create", "acme")
    command_line.done("accounts", "set-plan", "acme", "team", "--seats", "5", "--from", "2026-11-01")
    command_line.done("accounts", "set-plan", "acme", "pro", "--from", "2026-12-03")
    account = command_line.json("accounts", "show", "acme")
    assert (account["plan"], account["seats"]) == ("team", 5)
    assert [change["plan"] for change in account["plan_changes"]] == ["team", "pro"]


def test_a_renamed_account_keeps_its_usage(command_line):
    command_line.done("ingest", command_line.write_log([request()]), "--create-accounts")
    command_line.done("accounts", "rename", "acme", "acme-corp")
    assert command_line.json("spend", "--account", "acme-corp")["total"]["events"] == 1
    command_line.run("spend", "--account", "acme")
    assert (command_line.code, command_line.errors) == (2, "error[not_found]: there is no account 'acme'\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "acme"], "already_exists"),
        (["create", "a/b"], "invalid_request"),
        (["show", "nobody"], "not_found"),
        (["set-route", "unassigned", "routed"], "invalid_request"),
        (["set-route", "acme", "sideways"], "usage"),
        (["set-plan", "acme", "platinum"], "usage"),
        (["set-plan", "acme", "team", "--seats", "0"], "usage"),
        (["set-plan", "acme", "pro", "--seats", "5"], "invalid_plan"),
        (["set-plan", "acme", "free", "--seats", "2"], "invalid_plan"),
        (["set-plan", "acme", "pro", "--from", "2026-02-30"], "usage"),
        (["set-plan", "unassigned", "pro"], "invalid_request"),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(command_line, arguments, code):
    command_line.done("accounts", "create", "acme")
    command_line.run("accounts", *arguments)
    assert command_line.code == 2
    assert command_line.errors.startswith(f"error[{code}]: ")
    assert command_line.errors.count("\n") == 1


def test_a_plan_whose_fee_nobody_knows_says_so_at_once(command_line):
    command_line.done("accounts", "create", "acme")
    command_line.done("accounts", "set-plan", "acme", "pro")
    assert command_line.errors == ""
    command_line.done("accounts", "set-plan", "acme", "team", "--seats", "5", "--json")
    assert " ".join(command_line.errors.split()) == (
        "the fee of team is unknown; statements show it as unknown and exclude it from the total"
    )


def test_people_see_the_plan_and_its_history(command_line):
    command_line.done("accounts", "create", "acme", "--route", "routed")
    shown = command_line.done("accounts", "set-plan", "acme", "team", "--seats", "5", "--from", "2026-11-01")
    assert "team, 5 seats at the end of 2026-12" in shown
    assert "included credits  $10.00" in shown
    assert "team, 5 seats from 2026-11-01" in shown
    assert "default route  routed" in command_line.done("accounts", "show", "acme")


@pytest.mark.parametrize("letter", ["\n", "\x1b", "\x00", "\x7f", "\udcff"])
def test_a_control_character_in_what_is_said_is_refused_in_one_line(command_line, letter):
    command_line.done("accounts", "create", "acme")
    for said in (["keys", "create", f"k{letter}"], ["credits", "grant", "acme", "5", "--reference", f"r{letter}"]):
        command_line.run(*said)
        assert command_line.code == 2
        assert command_line.errors.startswith("error[usage]: ")
        assert f"contains the control character U+{ord(letter):04X}" in command_line.errors
        assert command_line.errors.count("\n") == 1
