"""``metering budgets``: make, see, change, delete."""

import json

import pytest

from metering.cli.root import BAD_USAGE

# A dollar and a half of input at fireworks-ai, on the 1st of December.
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


def test_a_budget_is_made_shown_changed_and_deleted(acme):
    made = acme.json("budgets", "create", "acme", "2", "--scope", "project=search", "--threshold", "70,100", "--name", "search")
    assert (made["id"], made["amount_usd"], made["scope"]) == (1, "2.000000000", {"project": ["search"]})
    ingest(acme)
    state = acme.json("budgets", "show", "1")["state"]
    assert (state["spent_usd"], state["percent"], state["fired"]) == ("1.500000000", "75.0", [70])
    changed = acme.json("budgets", "change", "1", "--amount", "10", "--action", "block", "--no-scope")
    assert (changed["amount_usd"], changed["scope"], changed["block_percent"]) == ("10.000000000", {}, 100)
    assert [each["revision"] for each in acme.json("budgets", "show", "1")["revisions"]] == [1, 2]
    assert acme.json("budgets", "delete", "1") == {"id": 1, "deleted": True}
    assert acme.json("budgets", "list") == {"budgets": []}
    assert "there are no budgets" in acme.done("budgets", "list")


def test_ingest_judges_what_it_counted_before_it_ends(acme):
    acme.done("budgets", "create", "acme", "1")
    ingest(acme)
    assert acme.json("budgets", "show", "1")["state"]["fired"] == [50, 80, 100]


def test_the_table_has_a_bar_and_the_view_says_what_there_is_to_know(acme):
    acme.done("budgets", "create", "acme", "2", "--forecast", "110", "--action", "block", "--block-at", "70")
    ingest(acme)
    (line,) = [line for line in acme.done("budgets", "list").splitlines() if "acme" in line]
    assert "██████░░ 75.0%" in line
    assert line.rstrip().endswith("blocked")
    view = acme.done("budgets", "show", "1")
    for text in (
        "spent      $1.50 of $2.00",
        "left       $0.50",
        "50% (told), 80%, 100%",
        "blocks at 70%",
        "until spending falls",
    ):
        assert text in view


def test_the_history_says_whether_a_budget_forecasts_and_blocks(acme):
    acme.done("budgets", "create", "acme", "5", "--forecast", "110", "--action", "block", "--block-at", "120")
    acme.done("budgets", "change", "1", "--action", "notify", "--no-forecast")
    first, second = acme.done("budgets", "show", "1").splitlines()[-2:]
    assert "50%, 80%, 100%, forecast 110%, blocks at 120%, by the " in first
    assert "50%, 80%, 100%, by the " in second


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
def test_what_a_budget_can_not_be_is_told_in_one_line(acme, arguments, code):
    acme.run("budgets", "create", "acme", *arguments)
    assert acme.code == BAD_USAGE
    assert acme.errors.startswith(f"error[{code}]: ")
    assert len(acme.errors.splitlines()) == 1
    assert acme.json("budgets", "list") == {"budgets": []}


def test_a_scope_that_nothing_has_is_remarked_and_made_all_the_same(acme):
    made = json.loads(acme.run("budgets", "create", "acme", "5", "--scope", "model=lama", "--scope", "tag:x=y", "--json"))
    assert made["scope"] == {"model": ["lama"], "tag:x": ["y"]}
    assert "no usage so far has the model 'lama'" in acme.errors
    assert "the tag 'x' is not declared" in acme.errors


@pytest.mark.parametrize("command", [["show", "7"], ["change", "7", "--amount", "5"], ["delete", "7"]])
def test_a_budget_that_there_is_not_is_not_found(acme, command):
    acme.run("budgets", *command)
    assert (acme.code, acme.errors) == (BAD_USAGE, "error[not_found]: there is no budget 7\n")
