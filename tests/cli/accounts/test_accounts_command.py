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


def test_a_default_route_applies_to_usage_ingested_afterwards(command_line):
    command_line.done("accounts", "create", "acme")
    command_line.done("ingest", command_line.write_log([request(1, route=None)]))
    command_line.done("accounts", "set-route", "acme", "routed")
    command_line.done("ingest", command_line.write_log([request(2, route=None)]))
    answer = command_line.json("spend", "--by", "route")
    assert [(row["group"]["route"], row["events"]) for row in answer["rows"]] == [("routed", 1), ("unknown", 1)]


def test_a_plan_starts_on_the_first_of_this_month_by_default(command_line):
    command_line.done("accounts", "create", "acme")
    shown = command_line.json("accounts", "set-plan", "acme", "team", "--seats", "5")
    assert shown["changes"] == [{"effective": "2026-12-01", "plan": "team", "seats": 5}]
    assert (shown["current"]["plan"], shown["current"]["seats"]) == ("team", 5)


def test_a_future_plan_is_not_in_effect_today(command_line):
    command_line.done("accounts", "create", "acme")
    shown = command_line.json("accounts", "set-plan", "acme", "pro", "--from", "2027-01-01")
    assert shown["current"]["plan"] == "free"
    assert command_line.json("accounts", "show", "acme")["plan"] == "free"


def test_a_mid_month_downgrade_takes_effect_in_the_next_month(command_line):
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
    assert (command_line.code, command_line.errors) == (
        2,
        "error[not_found]: there is no account 'acme'; `metering accounts list` shows all\n",
    )


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
def test_an_invalid_command_prints_one_line(command_line, arguments, code):
    command_line.done("accounts", "create", "acme")
    command_line.run("accounts", *arguments)
    assert command_line.code == 2
    assert command_line.errors.startswith(f"error[{code}]: ")
    assert command_line.errors.count("\n") == 1


def test_a_plan_with_an_unknown_fee_is_set_with_a_warning(command_line):
    command_line.done("accounts", "create", "acme")
    command_line.done("accounts", "set-plan", "acme", "pro")
    assert command_line.errors == ""
    command_line.done("accounts", "set-plan", "acme", "team", "--seats", "5", "--effective", "2026-09-01", "--json")
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
def test_a_control_character_in_an_argument_is_refused_with_one_line(command_line, letter):
    command_line.done("accounts", "create", "acme")
    for arguments in (["keys", "create", f"k{letter}"], ["credits", "grant", "acme", "5", "--reference", f"r{letter}"]):
        command_line.run(*arguments)
        assert command_line.code == 2
        assert command_line.errors.startswith("error[usage]: ")
        assert f"contains the control character U+{ord(letter):04X}" in command_line.errors
        assert command_line.errors.count("\n") == 1
