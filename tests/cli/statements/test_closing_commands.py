"""``metering statements close`` and what follows, ``metering credits ledger``, ``balance``, ``void``."""

import pytest

from metering.domain.instants import parse_instant
from support.month_of_llama import a_million_tokens_a_day, request


@pytest.fixture
def october(command_line):
    """$27.00 of usage in October on PRO and $5.00 of purchased credits; it is 4 November."""
    command_line.now = parse_instant("2026-11-04T00:00:00Z")
    log = command_line.write_log(a_million_tokens_a_day("2026-10"))
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    command_line.done("credits", "grant", "acme", "5", "--reference", "inv-1")
    return command_line


def refused(command_line, *arguments):
    command_line.run(*arguments)
    assert command_line.code == 2
    return command_line.errors.partition("]")[0].removeprefix("error[")


def test_a_month_is_closed_once_and_shown_as_closed(october):
    first = october.done("statements", "close", "acme", "2026-10")
    assert "acme, 2026-10: closed, $34.00 (sha256 " in first
    assert october.done("statements", "close", "acme", "2026-10") == first
    assert "2026-10 (closed)" in october.done("statements", "show", "acme", "2026-10")
    assert [each["status"] for each in october.json("statements", "list", "--status", "closed")["items"]] == ["closed"]
    assert "no draft statements" in october.done("statements", "list", "--status", "draft")


@pytest.mark.parametrize(
    ("month", "code"), [("2026-11", "month_not_over"), ("2027-05", "month_not_over"), ("2026-09", "nothing_to_close")]
)
def test_a_month_that_cannot_be_closed_is_refused_with_a_code(october, month, code):
    assert refused(october, "statements", "close", "acme", month) == code


def test_all_closes_what_is_due_and_exits_with_1_if_a_month_stays_open(october):
    assert "no months are due" in october.done("statements", "close", "--all")
    unpriced = request("x", "2026-10-05T00:00:00Z", input_tokens=1) | {"model": "new"}
    october.done("ingest", october.write_log([unpriced], "new.ndjson"), "--account", "acme")
    october.now = parse_instant("2026-11-08T00:00:00Z")
    assert "not closed: 1 request of 'acme' in 2026-10 is not priced yet" in " ".join(
        october.run("statements", "close", "--all").split()
    )
    assert october.code == 1
    assert "closed, $34.00" in october.done("statements", "close", "--all", "--allow-unpriced")


def test_a_month_with_unpriced_usage_says_which_option_closes_it(october):
    unpriced = request("x", "2026-10-05T00:00:00Z", input_tokens=1) | {"model": "new"}
    october.done("ingest", october.write_log([unpriced], "new.ndjson"), "--account", "acme")
    assert refused(october, "statements", "close", "acme", "2026-10") == "unpriced_usage"
    assert "close with --allow-unpriced (HTTP: allow_unpriced)" in october.errors
    october.now = parse_instant("2026-12-04T00:00:00Z")
    assert refused(october, "statements", "close", "acme", "2026-11") == "earlier_months_open"
    assert "with --with-earlier" in october.errors
    october.done("statements", "close", "acme", "2026-10", "--allow-unpriced")


@pytest.mark.parametrize("arguments", [(), ("acme",), ("acme", "2026-10", "--all")])
def test_close_needs_a_month_of_an_account_or_all(october, arguments):
    assert refused(october, "statements", "close", *arguments) == "usage"


def test_changes_to_a_closed_month_are_shown(october):
    october.done("statements", "close", "acme", "2026-10")
    assert "nothing has changed" in october.done("statements", "reopen-check", "acme", "2026-10")
    october.done("statements", "adjust", "acme", "2026-10", "-26", "--reference", "r1", "--reason", "agreed")
    changes = october.json("statements", "reopen-check", "acme", "2026-10")
    assert [(each["month"], each["adjustments_usd"], each["credits_usd"]) for each in changes["corrections"]] == [
        ("2026-11", "-26.000000000", "-1.000000000")
    ]
    assert [each["usage_usd"] for each in changes["corrections"]] == ["-26.000000000"]
    assert (changes["now"]["usage_usd"], changes["now"]["credits_usd"]) == ("1.000000000", "1.000000000")
    assert "as computed now" in october.done("statements", "reopen-check", "acme", "2026-10")
    (adjusted,) = october.json("statements", "adjustments", "acme")["items"]
    assert (adjusted["month"], adjusted["billing_month"]) == ("2026-10", "2026-11")
    assert refused(october, "statements", "reopen-check", "acme", "2026-09") == "not_found"


def test_the_ledger_shows_the_credits_and_voids_what_is_left(october):
    october.done("statements", "close", "acme", "2026-10")
    kinds = [(each["kind"], each["amount_usd"]) for each in october.json("credits", "ledger", "acme")["items"]]
    assert kinds == [("grant", "5.000000000"), ("grant", "2.000000000"), ("apply", "-2.000000000")]
    assert october.json("credits", "balance", "acme")["left_usd"] == "7.000000000"
    assert october.json("credits", "balance", "acme", "--at", "2026-10-02")["left_usd"] == "1.100000000"
    assert refused(october, "credits", "void", "acme", "inv-1", "--amount", "5.01", "--reason", "x") == "credits_overdrawn"
    assert "voided $5.00 of inv-1" in october.done("credits", "void", "acme", "inv-1", "--reason", "refunded")
    assert october.json("credits", "balance", "acme")["left_usd"] == "2.000000000"


def test_a_plan_change_in_a_closed_month_is_refused_and_verify_passes(october):
    october.done("statements", "close", "acme", "2026-10")
    assert refused(october, "accounts", "set-plan", "acme", "free", "--from", "2026-10-05") == "month_closed"
    assert "3 checks" in october.done("verify", "--statements")
