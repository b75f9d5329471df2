"""The worked examples for closed statements, through the command line. Figures are worked out by hand."""

import hashlib

import pytest

from metering.domain.instants import parse_instant
from support.month_of_llama import LLAMA_3, a_million_tokens_a_day, amounts, request

CHEAP = """\
source: a test
route: any
currency: USD
provider: together
models:
  - model: {model}
    versions:
      - from: {since}
        usd_per_million: {{input_tokens: {price}}}
        source: a test
"""


def lines(statement):
    """Kind, origin and amount of the lines that are not zero."""
    return [
        (line["kind"], line["origin_month"], line["amount_usd"])
        for line in statement["lines"]
        if line["amount_usd"] != "0.000000000000"
    ]


def at(command_line, time):
    command_line.now = parse_instant(time)


def close(command_line, month, *options):
    return command_line.json("statements", "close", "acme", month, *options)


def test_example_1_is_closed_exactly_as_its_draft(command_line):
    log = command_line.write_log(a_million_tokens_a_day("2026-11"))
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    draft = command_line.json("statements", "show", "acme", "2026-11")
    summary = close(command_line, "2026-11")
    closed = command_line.json("statements", "show", "acme", "2026-11")
    assert (summary["total_usd"], closed["usage_payable_usd"]) == ("34.00", "25.000000000")
    assert amounts(closed) == [
        ("usage", "27.000000000000"),
        ("subscription", "9.000000000000"),
        ("credit", "-2.000000000000"),
        ("residual", "0.000000000000"),
        ("total", "34.000000000000"),
    ]
    changed = {key for key in closed if closed[key] != draft[key]}
    assert changed == {"status", "closed_at", "digest"}
    command_line.done("verify")


def test_example_2_the_free_account_of_september_is_closed_beyond_its_plan(command_line):
    log = command_line.write_log(a_million_tokens_a_day("2026-09"))
    command_line.done("ingest", log, "--account", "acme")
    close(command_line, "2026-09")
    closed = command_line.json("statements", "show", "acme", "2026-09")
    assert (closed["usage_usd"], closed["credits_usd"]) == ("27.000000000", "0.100000000")
    assert (closed["total_usd"], closed["flags"]) == ("26.90", ["beyond_plan"])


def test_example_6_a_team_and_a_partial_month_closed(command_line):
    for name in ("acme", "late"):
        command_line.done("accounts", "create", name)
    command_line.done("accounts", "set-plan", "acme", "team", "--from", "2026-11-01", "--seats", "5")
    command_line.done("accounts", "set-plan", "late", "pro", "--from", "2026-11-16")
    log = command_line.write_log(a_million_tokens_a_day("2026-11"))
    command_line.done("ingest", log, "--account", "acme")
    close(command_line, "2026-11")
    team = command_line.json("statements", "show", "acme", "2026-11")
    assert (team["credits_usd"], team["usage_payable_usd"]) == ("10.000000000", "17.000000000")
    late = command_line.json("statements", "close", "late", "2026-11")
    assert (late["subscription_usd"], late["total_usd"]) == ("4.50", "4.50")


def test_example_7_a_late_charge_is_a_correction_of_the_next_month_and_changes_no_digest(command_line):
    at(command_line, "2026-11-04T00:00:00Z")
    october = command_line.write_log([request(1, "2026-10-05T10:00:00Z", input_tokens=10_000_000)], "october.ndjson")
    command_line.done("ingest", october, "--account", "acme", "--plan", "pro")
    digest = close(command_line, "2026-10")["digest"]
    before = command_line.json("statements", "show", "acme", "2026-10")
    at(command_line, "2026-11-10T12:00:00Z")
    late = command_line.write_log([request(2, "2026-10-31T23:59:59.999999Z", input_tokens=1_000_000)], "late.ndjson")
    command_line.done("ingest", late, "--account", "acme")
    assert command_line.json("statements", "show", "acme", "2026-10") == before
    assert before["digest"] == digest
    november = command_line.json("statements", "show", "acme", "2026-11")
    # November's included credits never pay for October's late charge, and October's are used up.
    assert lines(november) == [
        ("usage", "2026-10", "0.900000000000"),
        ("subscription", None, "9.000000000000"),
        ("total", None, "9.900000000000"),
    ]
    at(command_line, "2026-12-05T00:00:00Z")
    close(command_line, "2026-11")
    assert lines(command_line.json("statements", "show", "acme", "2026-11")) == lines(november)
    command_line.done("verify")


def test_example_9_the_rounding_line_of_a_closed_statement(command_line):
    sheet = command_line.folder / "cheap.yaml"
    sheet.write_text(CHEAP.format(model="cheap", since="2026-01-01", price="0.0375"))
    command_line.done("db", "upgrade")
    command_line.done("prices", "import", sheet)
    records = [request(number, "2026-10-03T10:00:00Z", input_tokens=1) | {"model": "cheap"} for number in range(3)]
    command_line.done("ingest", command_line.write_log(records), "--account", "acme")
    close(command_line, "2026-10")
    closed = command_line.json("statements", "show", "acme", "2026-10")
    assert amounts(closed)[:2] == [("usage", "0.000000112500"), ("rounding", "0.000000001500")]
    # 114 nano-USD, paid by the $0.10 that the free plan had until October.
    assert (closed["credits_usd"], closed["total_usd"]) == ("0.000000114", "0.00")


@pytest.fixture
def october_is_closed(command_line):
    """October on PRO, closed: $27.00 of usage, $2.00 paid by credits."""
    at(command_line, "2026-11-04T00:00:00Z")
    log = command_line.write_log(a_million_tokens_a_day("2026-10"))
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    assert close(command_line, "2026-10")["total_usd"] == "34.00"
    return command_line


def test_example_10_a_correction_by_re_rating_restores_a_dollar_of_credits(october_is_closed):
    command_line = october_is_closed
    sheet = command_line.folder / "one-dollar.yaml"
    # $1.00 in 30 million tokens is $0.0333... a million: 29 days are free, and one is $1.00.
    sheet.write_text(CHEAP.format(model=LLAMA_3, since="2026-10-01", price="0") + (
        "      - from: 2026-10-30\n        usd_per_million: {input_tokens: 1.00}\n        source: a test\n"
    ))  # fmt: skip
    command_line.done("prices", "import", sheet)
    command_line.done("rerate", "--from", "2026-10-01", "--to", "2026-11-01", "--apply", "--reason", "agreed")
    november = command_line.json("statements", "show", "acme", "2026-11")
    corrections = [line for line in november["lines"] if line["origin_month"] == "2026-10"]
    assert sum(float(line["amount_usd"]) for line in corrections if line["kind"] == "usage") == -26.0
    assert [line["amount_usd"] for line in corrections if line["kind"] == "credit"] == ["1.000000000000"]
    assert november["usage_payable_usd"] == "-25.000000000"
    at(command_line, "2026-12-05T00:00:00Z")
    closed = close(command_line, "2026-11")
    # -$25.00 and the fee of $9.00: nothing is payable, and -$16.00 is carried forward to December.
    assert (closed["total_usd"], closed["carried_forward_usd"]) == ("0.00", "-16.00")
    december = command_line.json("statements", "show", "acme", "2026-12")
    assert lines(december) == [("subscription", None, "9.000000000000"), ("carried_forward", None, "-16.000000000000"),
                               ("carried_forward", None, "7.000000000000")]  # fmt: skip
    command_line.done("verify")


def test_the_canonical_form_has_the_digest_that_the_statement_shows(october_is_closed):
    shown = october_is_closed.json("statements", "show", "acme", "2026-10")
    canonical = october_is_closed.done("statements", "show", "acme", "2026-10", "--canonical")
    assert hashlib.sha256(canonical.encode()).hexdigest() == shown["digest"]
