"""``metering reconcile``: from an invoice to a decision, with an exit code for cron."""

import json

import pytest

from support.loopback_source import answer, source

SHEET = """\
source: test
route: any
currency: USD
provider: together
models:
  - model: llama
    versions:
      - from: 2020-01-01
        usd_per_million: {input_tokens: 1000, output_tokens: 1000}
        source: the test
"""
CHARGE = 120_000_000


@pytest.fixture
def metered(command_line):
    """Ten requests of November, $0.12 each."""
    (command_line.folder / "prices.yaml").write_text(SHEET)
    command_line.done("db", "upgrade")
    command_line.done("prices", "import", command_line.folder / "prices.yaml")
    usage = {"input_tokens": 100, "output_tokens": 20}
    records = [
        {
            "id": f"r{number}", "time": f"2026-11-1{number}T12:00:00Z", "provider": "together", "model": "llama",
            "route": "routed", "status": 200, "usage": usage, "inference_id": f"inference-{number:04d}",
        }
        for number in range(10)
    ]  # fmt: skip
    command_line.done("ingest", command_line.write_log(records), "--account", "acme", "--plan", "pro")
    return command_line


def bill(metered, *numbers, name="bill.csv"):
    path = metered.folder / name
    rows = "".join(f"inference-{number:04d},{CHARGE}\n" for number in numbers)
    path.write_text(f"request_id,amount_nano_usd\n{rows}")
    return path


def imported(metered, *numbers, arguments=()):
    return metered.json("reconcile", "import", bill(metered, *numbers), "--account", "acme", "--month", "2026-11", *arguments)


def test_a_matching_invoice_exits_with_0(metered):
    imported(metered, *range(10))
    output = metered.run("reconcile", "run")
    assert metered.code == 0
    assert "the invoice matches metered usage to the nano-dollar" in output
    assert "100.00% of the billed usage was metered; compared by request" in output


def test_an_open_variance_exits_with_1_until_it_is_decided_on(metered):
    imported(metered, *range(9), 8)
    output = metered.run("reconcile", "run", "1")
    assert metered.code == 1
    assert "metered but not billed" in output
    assert "billed more than once" in output
    found = json.loads(metered.run("reconcile", "show", "1", "--json"))
    assert [(each["cause"], each["amount_nano_usd"]) for each in found["steps"]] == [
        ("missing_there", -CHARGE),
        ("duplicate_there", CHARGE),
    ]
    for each in found["variances"]:
        metered.done("reconcile", "resolve", each["id"], "--as", "disputed", "--who", "ada", "--reason", "ticket 4711")
    metered.run("reconcile", "run", "1")
    assert metered.code == 0


def test_a_tolerance_limits_the_difference_in_all(metered):
    imported(metered, *range(9))
    metered.run("reconcile", "run", "--tolerance", "0.12")
    assert metered.code == 0
    metered.run("reconcile", "run", "--tolerance", "0.119999999")
    assert metered.code == 1
    metered.environment["METERING_RECONCILE_TOLERANCE"] = "0/10%,csv=0.5"
    metered.run("reconcile", "run")
    assert metered.code == 0


def test_a_variance_is_explained_with_its_evidence_and_exported(metered):
    imported(metered, *range(9), 8)
    metered.run("reconcile", "run")
    shown = metered.json("reconcile", "explain", "1")
    assert [(each["event_id"], each["request_id"], each["theirs_nano_usd"]) for each in shown["evidence"]] == [
        ("r9", "inference-0009", None)
    ]
    assert "r9" in metered.done("reconcile", "explain", "1")
    rows = metered.done("reconcile", "export", "1", "--variance", "1").splitlines()
    assert len(rows) == 2
    page = metered.folder / "report.html"
    metered.done("reconcile", "export", "1", "--output", page)
    assert page.read_text().startswith("<!doctype html>")
    assert metered.done("reconcile", "export", "1").startswith("row,reconciliation,")


def test_accepting_with_a_correction_is_on_the_statement(metered):
    imported(metered, *range(10), 77)
    metered.run("reconcile", "run")
    output = metered.done("reconcile", "resolve", "1", "--as", "accepted", "--who", "ada", "--reason", "theirs", "--correct")
    assert "corrected by 0.12 USD" in output
    statement = metered.json("statements", "show", "acme", "2026-11")
    assert "0.120000000" in json.dumps(statement)


def test_a_pasted_total_is_reconciled_immediately(metered):
    output = metered.run("reconcile", "import", "--total", "$9.00", "--account", "acme", "--month", "2026-11", "--run")
    assert metered.code == 0, output
    assert "credits applied on the invoice" in output
    assert "fees on the invoice" in output


def test_an_invoice_from_stdin_is_imported_once(metered):
    content = bill(metered, 1).read_bytes()
    arguments = ("reconcile", "import", "-", "--account", "acme", "--month", "2026-11")
    assert "invoice 1:" in metered.run(*arguments, stdin=content)
    assert "nothing changed" in metered.run(*arguments, stdin=content)


def test_errors_are_reported_in_one_line(metered):
    for arguments, text in (
        (("import", "--account", "acme"), "give one of FILE, --total or --answers"),
        (("import", "nowhere.csv", "--account", "acme"), "unreadable_file"),
        (("import", bill(metered, 1), "--account", "acme"), "period_required"),
        (("import", bill(metered, 1), "--account", "nobody", "--month", "2026-11"), "not_found"),
        (("run", "9"), "there is no invoice 9"),
        (("show", "9"), "there is no reconciliation 9"),
        (("explain", "9"), "there is no variance 9"),
        (("fetch", "--account", "acme"), "HF_TOKEN"),
    ):
        metered.run("reconcile", *arguments)
        assert metered.code == 2
        assert text in metered.errors


def test_an_invoice_is_fetched_with_the_token_of_the_environment(metered):
    usage = {"usage": {"inferenceProviders": {"usedNanoUsd": 10 * CHARGE, "numRequests": 10}}}
    with source(answer(json.dumps(usage).encode())) as hugging_face:
        metered.environment |= {"HF_TOKEN": "hf_secret", "METERING_BILLING_URL": hugging_face.url}
        output = metered.run("reconcile", "fetch", "--account", "acme", "--month", "2026-11", "--run")
        assert metered.code == 0, metered.errors
        assert "the invoice matches metered usage to the nano-dollar" in output
        assert hugging_face.requests[0]["authorization"] == "Bearer hf_secret"
        assert "hf_secret" not in output + metered.errors


def test_the_file_name_sets_the_format_of_a_report(metered, tmp_path):
    imported(metered, *range(9))
    metered.run("reconcile", "run")
    for name in ("report.pdf", "evidence.xlsx"):
        metered.run("reconcile", "export", "1", "--output", tmp_path / name)
        assert (metered.code, "use .html or .csv" in metered.errors) == (2, True)
        assert not (tmp_path / name).exists()
    metered.done("reconcile", "export", "1", "--as", "csv", "--output", tmp_path / "report.txt")
    assert (tmp_path / "report.txt").read_text().startswith("row,reconciliation,")


def test_a_tolerance_below_zero_is_refused(metered):
    imported(metered, *range(9))
    metered.run("reconcile", "run", "--tolerance", "-1")
    assert (metered.code, "0 or more" in metered.errors) == (2, True)


def test_one_difference_is_singular(metered):
    imported(metered, *range(9))
    metered.run("reconcile", "run")
    assert "in 1 difference, llama at together" in metered.done("reconcile", "explain", "1")


def test_a_variance_of_sums_is_explained_with_its_requests(metered):
    path = metered.folder / "sums.csv"
    path.write_text(f"provider,amount_nano_usd\ntogether,{10 * CHARGE * 105 // 100}\n")
    metered.done("reconcile", "import", path, "--account", "acme", "--month", "2026-11")
    metered.run("reconcile", "run")
    output = metered.done("reconcile", "explain", "1", "--limit", "2")
    assert "1.05 times our amounts" in output
    assert "10 metered requests explain it" in output
    assert "... of 10: `metering reconcile export 1 --variance 1` exports all" in output
    assert len(metered.done("reconcile", "export", "1", "--variance", "1").splitlines()) == 12
    assert metered.json("reconcile", "explain", "1")["requests_in_all"] == 10


def test_of_many_variances_the_largest_are_shown(metered):
    path = metered.folder / "sessions.csv"
    path.write_text("session,amount_nano_usd\n" + "".join(f"session-{n},{1_000_000 + n}\n" for n in range(103)))
    metered.done("reconcile", "import", path, "--account", "acme", "--month", "2026-11")
    output = metered.run("reconcile", "run")
    assert output.count("session session-") == 99  # and the usage metered without a session
    assert "session-102 " in output
    assert "session-3 " not in output
    assert "... and 4 smaller variances: `metering reconcile export 1` exports all" in output


def test_a_pasted_total_is_held_against_the_statement_and_the_usage(metered):
    """Ten requests of $0.12 on PRO: the credits pay for them, and the statement is the fee, $9.00."""
    arguments = ("reconcile", "import", "--total", "$9.00", "--account", "acme", "--month", "2026-11")
    output = metered.done(*arguments)
    assert "read as the whole statement: it agrees with ours, 9.00 USD" in output
    assert "read as usage alone: ours is 1.20 USD, theirs 7.80 USD more" in output
    output = metered.run("reconcile", "run", "1")
    assert (metered.code, "it agrees with ours" in output) == (0, True)


def test_a_correction_by_a_pasted_total_takes_a_reading(metered):
    metered.run("reconcile", "import", "--total", "9.40", "--account", "acme", "--month", "2026-11", "--run")
    assert metered.code == 1
    found = metered.json("reconcile", "show", "1")
    assert (found["reading"], [each["difference_nano_usd"] for each in found["readings"]]) == (
        None,
        [400_000_000, 8_200_000_000],
    )
    (variance,) = [each["id"] for each in found["variances"] if each["state"] == "open"]
    decision = ("reconcile", "resolve", variance, "--as", "accepted", "--who", "ada", "--reason", "theirs", "--correct")
    metered.run(*decision)
    assert (metered.code, "reading_required" in metered.errors, "--reads statement" in metered.errors) == (2, True, True)
    assert "corrected by 0.40 USD" in metered.done(*decision, "--reads", "statement")
    assert metered.json("statements", "show", "acme", "2026-11")["total_usd"].startswith("9.40")
    metered.run("reconcile", "run", "1")
    assert metered.code == 0
    metered.run("reconcile", "run", "--reads", "usage")
    assert "name it" in metered.errors


def test_rows_that_are_totals_are_named_or_asked_about(metered):
    path = metered.folder / "totals.csv"
    rows = "".join(f"2026-11-{day},llama,0.1{day}\n" for day in (10, 11, 12))
    path.write_text(f"date,model,amount\n{rows},Total,0.333\n")
    arguments = ("reconcile", "import", path, "--account", "acme", "--month", "2026-11")
    metered.done(*arguments)
    assert "line 5, 0.3330 USD is left out: labeled 'Total', and the sum of 3 lines" in metered.errors
    again = metered.json(*arguments)
    assert [(each["line"], each["amount_usd"]) for each in again["invoice"]["excluded_rows"]] == [(5, "0.333000000")]
    path.write_text(f"date,model,amount\n{rows}2026-11-13,llama,0.333\n")
    metered.run(*arguments)
    assert (metered.code, "ambiguous_total_rows" in metered.errors) == (2, True)
    kept = metered.json(*arguments, "--total-rows", "keep")
    assert (kept["invoice"]["lines"], kept["invoice"]["excluded_rows"]) == (4, [])
