"""``metering budgets``: create, show, change and delete."""

import json

import pytest

from metering.cli.root import BAD_USAGE

# Input for $1.50 at fireworks-ai, on December 1.
RECORD = {
    "id": "r1", "time": "2026-12-01T10:00:00Z", "account": "acme", "provider": "fireworks-ai", "route": "routed",
    "model": "openai/gpt-oss-120b", "status": 200, "project": "search", "usage": {"input_tokens": 10_000_000},
}  # fmt: skip


@pytest.fixture
def acme(command_line):
    command_line.done("accounts", "create", "acme")
    return command_line


def ingest(command_line, **fields):
    return command_line.done("ingest", command_line.write_log([RECORD | fields]))


def test_a_budget_is_created_shown_changed_and_deleted(acme):
    options = ["--scope", "project=search", "--threshold", "70,100", "--name", "search"]
    created = acme.json("budgets", "create", "acme", "2", *options)
    assert (created["id"], created["amount_usd"], created["scope"]) == (1, "2.000000000", {"project": ["search"]})
    ingest(acme)
    state = acme.json("budgets", "show", "1")["state"]
    assert (state["spent_usd"], state["percent"], state["fired"]) == ("1.500000000", "75.0", [70])
    changed = acme.json("budgets", "change", "1", "--amount", "10", "--action", "block", "--no-scope")
    assert (changed["amount_usd"], changed["scope"], changed["block_percent"]) == ("10.000000000", {}, 100)
    assert [each["revision"] for each in acme.json("budgets", "show", "1")["revisions"]] == [1, 2]
    assert acme.json("budgets", "delete", "1") == {"id": 1, "deleted": True}
    assert acme.json("budgets", "list") == {"items": [], "next_cursor": None}
    assert "no budgets; create one with" in acme.done("budgets", "list")


def test_a_budget_that_is_created_twice_is_pointed_out(acme):
    acme.done("accounts", "create", "globex")
    assert acme.json("budgets", "create", "acme", "500", "--name", "first")["warnings"] == []
    warning = "budget 1 has the same terms, so every alert is raised twice; delete one with `metering budgets delete 2`"
    assert acme.json("budgets", "create", "acme", "500", "--threshold", "50%,80,100%")["warnings"] == [warning]
    assert warning in " ".join(acme.errors.split())
    third = acme.json("budgets", "create", "acme", "500")["warnings"]
    assert third == ["budgets 1, 2 have the same terms, so every alert is raised 3 times; delete one with"
                     " `metering budgets delete 3`"]  # fmt: skip
    for other in (
        ["globex", "500"],
        ["acme", "501"],
        ["acme", "500", "--window", "week"],
        ["acme", "500", "--threshold", "50"],
    ):
        assert acme.json("budgets", "create", *other)["warnings"] == []
    assert len(acme.json("budgets", "change", "5", "--amount", "500")["warnings"]) == 1
    acme.json("budgets", "delete", "1")
    assert "budgets 2, 5 have" in acme.json("budgets", "change", "3", "--name", "x")["warnings"][0]


@pytest.mark.parametrize("text", ["80%", "80 %", "80"])
def test_percentages_are_written_with_or_without_a_sign(acme, text):
    options = ["--threshold", f"{text},90%", "--forecast", text, "--action", "block", "--block-at", text]
    created = acme.json("budgets", "create", "acme", "5", *options)
    assert (created["thresholds"], created["forecast_percent"], created["block_percent"]) == ([80, 90], 80, 80)


@pytest.mark.parametrize("option", ["--threshold", "--forecast", "--block-at"])
@pytest.mark.parametrize("text", ["80.5%", "%", "eighty", "80%%"])
def test_other_percentages_are_refused(acme, option, text):
    assert acme.run("budgets", "create", "acme", "5", option, text) == ""
    assert acme.code == BAD_USAGE and "whole percentage" in acme.errors


def test_ingest_evaluates_its_usage_before_it_ends(acme):
    acme.done("budgets", "create", "acme", "1")
    ingest(acme)
    assert acme.json("budgets", "show", "1")["state"]["fired"] == [50, 80, 100]


def test_the_table_shows_a_bar_and_the_view_shows_the_state(acme):
    acme.done("budgets", "create", "acme", "2", "--forecast", "110", "--action", "block", "--block-at", "70")
    ingest(acme)
    (line,) = [line for line in acme.done("budgets", "list").splitlines() if "acme" in line]
    assert "██████░░ 75.0%" in line
    assert line.rstrip().endswith("blocked")
    view = acme.done("budgets", "show", "1")
    for text in (
        "period     2026-12, monthly",
        "spent      $1.50 of $2.00",
        "left       $0.50",
        "50% (alerted), 80%, 100%",
        "blocks at 70%",
        "until spending falls below 70%",
    ):
        assert text in view


def test_the_revisions_show_forecast_and_blocking_thresholds(acme):
    acme.done("budgets", "create", "acme", "5", "--forecast", "110", "--action", "block", "--block-at", "120")
    acme.done("budgets", "change", "1", "--action", "notify", "--no-forecast")
    first, second = acme.done("budgets", "show", "1").splitlines()[-2:]
    assert "$5.00 monthly, all usage, 50%, 80%, 100%, forecast 110%, blocks at 120%, by the command line" in first
    assert "50%, 80%, 100%, by the command line" in second


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["0"], "invalid_amount"),
        (["-5"], "invalid_amount"),
        (["5", "--threshold", "50,50"], "invalid_threshold"),
        (["5", "--threshold", "1001"], "invalid_threshold"),
        (["5", "--threshold", "50.5"], "usage"),
        (["5", "--block-at", "90"], "invalid_threshold"),
        (["5", "--scope", "colour=red"], "invalid_scope"),
        (["5", "--scope", "project"], "usage"),
        (["5", "--window", "fixed"], "invalid_window"),
        (["5", "--window", "fixed", "--start", "2026-11-05", "--end", "2026-11-01"], "invalid_window"),
        (["5", "--window", "fixed", "--start", "2026-11-05T10:00:00Z", "--end", "2026-11-11"], "usage"),
        (["5", "--basis", "after_credits", "--window", "week"], "invalid_basis"),
    ],
)
def test_an_invalid_budget_is_an_error_of_one_line(acme, arguments, code):
    acme.run("budgets", "create", "acme", *arguments)
    assert acme.code == BAD_USAGE
    assert acme.errors.startswith(f"error[{code}]: ")
    assert len(acme.errors.splitlines()) == 1
    assert acme.json("budgets", "list") == {"items": [], "next_cursor": None}


def test_a_scope_that_matches_no_usage_is_a_warning(acme):
    created = json.loads(acme.run("budgets", "create", "acme", "5", "--scope", "model=lama", "--scope", "tag:x=y", "--json"))
    assert created["scope"] == {"model": ["lama"], "tag:x": ["y"]}
    assert acme.errors.splitlines() == created["warnings"]
    assert [each.split(":")[0] for each in created["warnings"]] == [
        "no usage has the model 'lama' yet; check its spelling",
        "the tag 'x' is not declared in METERING_DECLARED_TAGS",
    ]


@pytest.mark.parametrize("command", [["show", "7"], ["change", "7", "--amount", "5"], ["delete", "7"]])
def test_a_missing_budget_is_an_error_that_names_the_list(acme, command):
    acme.run("budgets", *command)
    assert acme.code == BAD_USAGE
    assert acme.errors == "error[not_found]: there is no budget 7; `metering budgets list` shows all\n"
