"""``metering statements``: tables, JSON and exports."""

import csv
import io
from decimal import Decimal

import pytest

from support.request_records import LLAMA, request


@pytest.fixture
def billed(command_line):
    """PRO in November: 20 million tokens at $1.04 ($20.80); one request each on a provider key, unpriced, unrouted, failed."""
    usage = {"input_tokens": 15_000_000, "output_tokens": 5_000_000}
    log = command_line.write_log(
        [
            request(1, usage=usage),
            request(2, route="provider_key", model="meta-llama/Llama-3-70b-chat-hf", usage={"input_tokens": 1_000_000}),
            request(3, model="nobody/knows"),
            request(4, route=None),
            request(5, status=500),
            request(6, time="2026-10-10T00:00:00Z", usage={"input_tokens": 1}),
        ]
    )
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    return command_line


def row(text, start):
    return next(line for line in (" ".join(line.split()) for line in text.splitlines()) if line.startswith(start))


def test_the_table_shows_usage_fee_credits_and_total(billed):
    text = billed.done("statements", "show", "acme", "2026-11")
    assert text.splitlines()[0] == "acme, 2026-11 (draft), plan pro"
    assert row(text, LLAMA) == f"{LLAMA} at together"
    assert row(text, "Input tokens") == "Input tokens 15,000,000 $1.04 / 1M 15.60"
    assert row(text, "Output tokens") == "Output tokens 5,000,000 $1.04 / 1M 5.20"
    assert row(text, "Usage") == "Usage 20.80"
    assert row(text, "Subscription") == "Subscription pro 9.00"
    assert row(text, "Included credit") == "Included credit -2.00"
    assert row(text, "Total payable") == "Total payable 27.80"


def test_usage_excluded_from_the_total_is_below_it_and_explained(billed):
    text = billed.done("statements", "show", "acme", "2026-11")
    after = text[text.index("Total payable") :]
    assert row(after, "Owed to partners 0.90")
    assert "nobody/knows" in after
    assert row(after, "together meta-llama") == f"together {LLAMA} unknown 1 1,000 possibly $0.00104"
    assert "5 requests; 1 failed and cost nothing." in after
    words = " ".join(after.split())
    assert "Some usage is not priced yet. It is listed separately and excluded from the total." in words
    assert "See `metering prices unpriced`." in words
    assert "Some usage has an unknown billing route." in words


def test_the_last_month_with_usage_is_the_default(billed):
    assert billed.json("statements", "show", "acme")["month"] == "2026-11"


def test_an_account_without_usage_has_a_statement_of_this_month(billed):
    billed.done("accounts", "create", "idle")
    statement = billed.json("statements", "show", "idle")
    assert (statement["month"], statement["total_usd"]) == ("2026-12", "0.00")


def test_a_month_that_has_not_begun_says_so(billed):
    note = "The month has not begun: this is what is known of it now"
    assert note in " ".join(billed.done("statements", "show", "acme", "2027-01").split())
    assert note not in " ".join(billed.done("statements", "show", "acme", "2026-12").split())
    assert billed.json("statements", "show", "acme", "2027-01")["flags"] == ["credit_is_upper_bound", "not_begun"]
    assert note in " ".join(billed.done("statements", "export", "acme", "2027-01", "--format", "html").split())


def test_a_total_of_whole_cents_has_no_rounding_line(billed):
    # October: one token, paid by credit, and the fee
    assert "Rounding" not in billed.done("statements", "show", "acme", "2026-10")


def test_rounding_to_cents_has_its_own_line(billed):
    log = billed.write_log([request(7, usage={"input_tokens": 1})], "late.ndjson")
    billed.done("ingest", log, "--account", "acme")
    text = billed.done("statements", "show", "acme", "2026-11")
    # 1 token more at $1.04 a million
    assert row(text, "Usage") == "Usage 20.80000104"
    assert row(text, "Rounding of the total") == "Rounding of the total to cents -0.00000104"
    assert row(text, "Total payable") == "Total payable 27.80"


def test_statements_are_listed_with_their_totals(billed):
    listed = billed.json("statements", "list", "--account", "acme")["items"]
    assert [(each["month"], each["usage_usd"], each["total_usd"]) for each in listed] == [
        ("2026-10", "0.000000880", "9.00"),
        ("2026-11", "20.800000000", "27.80"),
    ]
    assert "27.80" in billed.done("statements", "list")


def test_the_export_adds_up_to_the_statement_s_total(billed):
    text = billed.done("statements", "export", "acme", "2026-11")
    rows = [each for each in csv.DictReader(io.StringIO(text)) if each["section"] == "payable"]
    assert rows[-1]["amount_usd"] == "27.800000000000"
    assert sum(Decimal(each["amount_usd"]) for each in rows[:-1]) == Decimal("27.8")


def test_a_file_gets_the_same_as_stdout(billed):
    path = billed.folder / "november.csv"
    assert billed.done("statements", "export", "acme", "2026-11", "--output", path) == ""
    assert "wrote acme's statement of 2026-11 to" in billed.errors
    content = path.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n")  # RFC 4180; the test runner's stdout drops the carriage returns
    assert content.decode().replace("\r\n", "\n") == billed.done("statements", "export", "acme", "2026-11")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "nobody"], "not_found"),
        (["show", "acme", "November"], "usage"),
        (["show", "acme", "9999-12"], "invalid_time"),
        (["export", "acme", "9999-12"], "invalid_time"),
        (["export", "acme"], "usage"),
        (["export", "acme", "2026-11", "--output", "/nowhere/at/all.csv"], "export_failed"),
    ],
)
def test_an_error_is_one_line_with_its_code(billed, arguments, code):
    billed.run("statements", *arguments)
    assert billed.code == 2
    assert billed.errors.startswith(f"error[{code}]: ")
    assert billed.errors.count("\n") == 1
