"""``metering statements export``: every format, archives, and bad usage."""

import csv
import io
import json
import sqlite3
import zipfile
from decimal import Decimal

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from support.request_records import request


@pytest.fixture
def billed(command_line):
    """15 million tokens of Llama at $1.04 on PRO in November, and one token in October."""
    log = command_line.write_log(
        [request(1, usage={"input_tokens": 15_000_000}), request(2, time="2026-10-10T00:00:00Z", usage={"input_tokens": 1})]
    )
    command_line.done("ingest", log, "--account", "acme", "--plan", "pro")
    return command_line


def written(billed, *arguments):
    path = billed.folder / "exported"
    assert billed.done("statements", "export", *arguments, "--output", path) == ""
    return path.read_bytes()


def test_each_format_has_the_total_of_the_month(billed):
    # $15.60 of usage, $2.00 of credits, a fee of $9.00
    november = ("acme", "2026-11", "--format")
    assert json.loads(written(billed, *november, "json"))["total_usd"] == "22.60"
    assert b"$22.60" in written(billed, *november, "html")
    assert "$22.60" in PdfReader(io.BytesIO(written(billed, *november, "pdf"))).pages[0].extract_text()
    sheet = load_workbook(io.BytesIO(written(billed, *november, "xlsx"))).active
    assert [cell.value for cell in list(sheet.rows)[-1]][18:20] == [22.6, "22.600000000000"]
    focus = csv.DictReader(io.StringIO(written(billed, *november, "focus").decode()))
    assert sum(Decimal(row["BilledCost"]) for row in focus) == Decimal("22.6")
    days = csv.DictReader(io.StringIO(written(billed, *november, "daily").decode()))
    assert sum(Decimal(row["amount_usd"] or 0) for row in days) == Decimal("15.6")


def test_json_is_what_show_prints(billed):
    assert json.loads(written(billed, "acme", "2026-11", "--format", "json")) == billed.json(
        "statements", "show", "acme", "2026-11"
    )


def test_version_1_3_of_focus_has_its_own_column_names(billed):
    header = written(billed, "acme", "2026-11", "--format", "focus", "--focus-version", "1.3").split(b"\r\n")[0].split(b",")
    assert b"HostProviderName" in header
    assert b"PublisherName" not in header


def test_all_months_of_an_account_and_all_accounts_of_a_month(billed):
    names = ["acme/statement-acme-2026-10.csv", "acme/statement-acme-2026-11.csv"]
    with zipfile.ZipFile(io.BytesIO(written(billed, "acme", "--all"))) as archive:
        assert archive.namelist() == [*names, "index.csv"]
    assert "wrote acme's statements to" in billed.errors
    with zipfile.ZipFile(io.BytesIO(written(billed, "--all", "--month", "2026-11", "--format", "pdf"))) as archive:
        assert archive.namelist() == ["acme/statement-acme-2026-11.pdf", "index.csv"]
    assert "wrote statements of all accounts of 2026-11 to" in billed.errors


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["acme"], "usage"),
        (["--all"], "usage"),
        (["acme", "2026-11", "--month", "2026-11"], "usage"),
        (["acme", "2026-11", "--format", "csv", "--format", "pdf"], "usage"),
        (["acme", "2026-11", "--format", "docx"], "usage"),
        (["acme", "2026-11", "--focus-version", "1.3"], "unknown_export"),
        (["acme", "2026-11", "--format", "focus", "--focus-version", "2"], "usage"),
        (["nobody", "2026-11"], "not_found"),
        (["nobody", "--all"], "not_found"),
        (["acme", "--all", "--month", "2025-01"], "not_found"),
    ],
)
def test_an_error_is_one_line_with_its_code(billed, arguments, code):
    assert billed.run("statements", "export", *arguments) == ""
    assert billed.code == 2
    assert billed.errors.startswith(f"error[{code}]: ")
    assert billed.errors.count("\n") == 1


def test_a_month_that_does_not_add_up_is_not_exported_and_leaves_no_file(billed):
    database = sqlite3.connect(billed.folder / "metering.db")
    with database:
        database.execute("UPDATE rollups SET amount_nano = amount_nano + 1")
    database.close()
    path = billed.folder / "focus.csv"
    billed.run("statements", "export", "acme", "2026-11", "--format", "focus", "--output", path)
    assert (billed.code, path.exists()) == (2, False)
    assert billed.errors.startswith("error[export_does_not_add_up]: ")
