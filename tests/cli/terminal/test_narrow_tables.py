"""Tables in a terminal too narrow for them: words stay whole, amounts stay on one line, nothing is left out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.cli.terminal.narrow import Extent, extent, fitted, wrapped
from support.forks import run_in_terminal
from support.request_records import LLAMA, request


def test_a_name_wraps_after_a_slash_or_a_hyphen():
    assert wrapped(LLAMA, 24, breaks="name") == "meta-llama/Llama-3.3-\n70B-Instruct"
    assert wrapped(LLAMA, 14, breaks="name") == "meta-llama/\nLlama-3.3-70B-\nInstruct"
    assert wrapped("hf_router, bundled", 12, breaks="name") == "hf_router,\nbundled"


def test_a_time_wraps_between_date_and_time_and_a_number_never_wraps():
    assert wrapped("2025-11-24 15:39:34Z", 10, breaks="words") == "2025-11-24\n15:39:34Z"
    assert wrapped("1,234,567", 4, breaks="never") == "1,234,567"


def test_only_a_word_wider_than_its_column_is_broken():
    assert wrapped("meta-llama/Llama", 4, breaks="name") == "meta\n-\nllam\na/\nLlam\na"


def test_the_widest_column_shrinks_until_all_fit():
    name, count = Extent(40, 8), Extent(9, 9)
    assert fitted([name, count], 60) == [40, 9]
    assert fitted([name, count], 31) == [20, 9]
    assert fitted([name, name, count], 48) == [17, 18, 9]
    assert fitted([name, count], 19) == [8, 9]
    assert extent([LLAMA, "gpt-oss-20b"], breaks="name") == (33, 8)
    assert extent(["budget.threshold_reached"], breaks="code") == (24, 10)


def test_columns_do_not_fit_if_a_word_would_have_to_be_broken():
    assert fitted([Extent(40, 8), Extent(9, 9)], 18) is None


@given(st.text("ab/-._ ", max_size=40), st.integers(1, 20))
def test_wrapped_text_is_complete_and_fits(text, width):
    for breaks in ("name", "code", "words"):
        lines = wrapped(text, width, breaks=breaks)
        assert re.sub(r"\s", "", lines) == re.sub(r"\s", "", text)
        assert all(len(line) <= width for line in lines.split("\n"))


@pytest.fixture
def used(command_line):
    """A command line with one request on record."""
    command_line.done("ingest", command_line.write_log([request(account="research-and-development")]), "--create-accounts")
    return command_line


def in_terminal(command_line, columns, *arguments):
    """Return the lines that a command writes to a terminal of this width."""
    terminal = {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    written, exit_code = run_in_terminal(command_line.environment | terminal, *arguments)
    assert exit_code == 0, written
    lines = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", written).decode().replace("\r", "").split("\n")
    assert all(len(line) <= columns for line in lines)
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("columns", [80, 100])
def test_a_price_history_keeps_its_amounts_on_one_line(used, columns):
    lines = in_terminal(used, columns, "prices", "history", LLAMA, "--provider", "fireworks-ai")
    (row,) = [line for line in lines if "hf_router," in line]
    # 0.90 dollars for a million tokens, in and out, as the router published it on 2025-11-24.
    assert re.fullmatch(r" +4  fireworks-(ai)? +hf_router, +2025-11-24 +0\.90 +0\.90", row)
    assert any("15:39:34Z" in line for line in lines)


@pytest.mark.parametrize("columns", [80, 100])
def test_a_list_of_prices_breaks_no_word(used, columns):
    models = {each["model"] for each in used.json("prices", "list")["items"]}
    written = in_terminal(used, columns, "prices", "list")
    shown = {word for line in written for word in re.split(r"[\s/-]+", line)}
    assert len(models) > 50
    assert {word for model in models for word in re.split(r"[/-]", model)} <= shown


def test_spend_by_five_dimensions_breaks_no_word(used):
    lines = in_terminal(used, 100, "spend", "--by", "account,provider,model,operation,route")
    shown = {word for line in lines for word in re.split(r"[\s/-]+", line)}
    assert {"meta", "llama", "Llama", "3.3", "70B", "Instruct", "operation", "requests"} <= shown


WHAT = "reconcile-with-the-provider"
LIMIT = "the search team's daily limit on everything"
REASON = "the provider corrected its October price list afterwards"


@pytest.fixture
def busy(command_line):
    """An account with budgets, some of them reached, a webhook endpoint, and a re-rating run."""
    log = command_line.write_log([request(account=WHAT), request(account=WHAT, id="r2", model="unlisted/model")])
    command_line.done("ingest", log, "--create-accounts")
    command_line.done("webhooks", "create", "https://hooks.invalid/alerts")
    scope = ["--scope", f"model={LLAMA}", "--scope", "provider=together", "--scope", "project=search"]
    for options in (
        ["0.001", "--window", "fixed", "--start", "2026-11-01", "--end", "2026-12-01", "--action", "block"],
        ["1250000.50", "--window", "quarter", "--forecast", "110", *scope],
        ["8", "--window", "day", "--name", LIMIT],
    ):
        command_line.done("budgets", "create", WHAT, *options)
    period = ["--from", "2026-11-01", "--to", "2026-12-01", "--account", WHAT, "--model", LLAMA]
    command_line.done("rerate", "--reason", REASON, *period, "--apply")
    return command_line


def words_of(*texts):
    """Return the parts of texts that may be on separate lines: between spaces, slashes, hyphens and the like."""
    return {word for text in texts for word in re.split(r"[\s/.,_-]+", text) if word}


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_budgets_deliveries_and_runs_break_no_word(busy, columns):
    shown = {
        command: words_of(*in_terminal(busy, columns, *command.split()))
        for command in ("budgets list", "webhooks deliveries 1", "rerate --list")
    }
    assert words_of(WHAT, LIMIT, LLAMA, "2026-11-01 2026-12-01", "1,250,000.50 forecast unpriced") <= shown["budgets list"]
    (delivery, *_) = busy.json("webhooks", "deliveries", "1")["items"]
    wanted = words_of(delivery["webhook_id"], delivery["type"], delivery["created_at"][:10], "attempts pending")
    assert wanted <= shown["webhooks deliveries 1"]
    assert words_of(WHAT, REASON, LLAMA, "examined replaced 2026-11-01") <= shown["rerate --list"]


def test_a_table_that_does_not_fit_is_printed_as_a_list_per_row(busy):
    lines = in_terminal(busy, 60, "rerate", "--list")
    assert lines[0].split() == ["run", "1"]
    assert "charges   reconcile-with-the-provider, meta-llama/Llama-3.3-" in lines
    assert "          70B-Instruct, 2026-11-01 to 2026-12-01" in lines
    assert lines[lines.index("before    0.00") + 1] == "after     0.00"


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_a_reconciliation_breaks_no_word_and_no_date(used, columns):
    bill = used.folder / "bill.csv"
    bill.write_text("date,provider,model,amount\n2025-11-24,together,mistralai/mixtral8x22binstruct,1246123.5\n")
    used.done("reconcile", "import", bill, "--account", "research-and-development", "--month", "2025-11")
    used.run("reconcile", "run")
    expected = {
        ("show",): {"development", "huggingface", "2025-11-01", "2025-12-01", "1,246,123.50"},
        ("show", "1"): {"metered", "variance", "mistralai/", "mixtral8x22binstruct", "1,246,123.50"},
        ("explain", "1"): {"mistralai/", "mixtral8x22binstruct", "2025-11-24", "1,246,123.50"},
    }
    for arguments, words in expected.items():
        written = " ".join(in_terminal(used, columns, "reconcile", *arguments))
        assert [word for word in words if word not in written] == []
