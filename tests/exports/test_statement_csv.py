"""The CSV files of a statement: documented columns, exact amounts, readable by every CSV reader."""

import csv
import io
import re
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.usage.events import PriceGrade
from metering.exports import daily_csv, statement_csv
from metering.exports.csv_text import csv_chunks
from metering.exports.focus_csv import focus_csv
from support.builders import CLOSED, day_usage, month_detail
from support.exported_files import exact_sum, table, text_of
from support.places import ROOT
from support.statement_examples import EXAMPLES, example_1, example_7, example_9, example_10

HEAD = (
    "schema_version,account,billing_month,status,section,line,origin_month,description,route,provider,model,operation,"
    "quantity_kind,quantity,unit,price_usd,price_per,price_assumed,amount_usd,currency,rate_id,price_source,closed_at,digest\r\n"
)
SEALED = "2026-12-04T00:00:00.000000Z," + "0123456789abcdef" * 4
LLAMA = '"llama at together, input tokens",routed,together,llama,,input_tokens'


def lines(*found):
    return HEAD + "".join(f"{line}\r\n" for line in found)


def test_example_1_to_the_byte():
    start = "1,acme,2026-11,draft,payable"
    assert text_of(statement_csv.statement_csv(example_1())) == lines(
        f"{start},usage,,{LLAMA},30000000,token,0.000000900000,1,false,27.000000000000,USD,1,a test,,",
        f"{start},subscription,,Subscription pro,,,,,days,30,days,,,,9.000000000000,USD,,,,",
        f"{start},credit,,Included credit,,,,,,,,,,,-2.000000000000,USD,,,,",
        f"{start},residual,,Rounding of the total to cents,,,,,,,,,,,0.000000000000,USD,,,,",
        f"{start},total,,Total payable,,,,,,,,,,,34.000000000000,USD,,,,",
    )


def test_example_7_to_the_byte():
    start = "1,acme,2026-11,closed,payable"
    assert text_of(statement_csv.statement_csv(example_7())) == lines(
        f"{start},usage,2026-10,{LLAMA},1000000,token,0.000000900000,1,false,0.900000000000,USD,1,a test,{SEALED}",
        f"{start},residual,,Rounding of the total to cents,,,,,,,,,,,0.000000000000,USD,,,{SEALED}",
        f"{start},total,,Total payable,,,,,,,,,,,0.900000000000,USD,,,{SEALED}",
    )


def test_example_10_line_by_line():
    rows = [
        (row["line"], row["origin_month"], row["quantity"], row["amount_usd"])
        for row in table(statement_csv.statement_csv(example_10()))
    ]
    assert rows == [
        ("usage", "2026-10", "-26000000", "-26.000000000000"),
        ("subscription", "", "", "9.000000000000"),
        ("credit", "2026-10", "", "1.000000000000"),
        ("carried_forward", "", "", "16.000000000000"),
        ("residual", "", "", "0.000000000000"),
        ("total", "", "", "0.000000000000"),
    ]


@pytest.mark.parametrize("number", EXAMPLES)
def test_the_rows_of_each_worked_example_add_up_to_its_total(number):
    make, cents = EXAMPLES[number]
    *rows, total = [row for row in table(statement_csv.statement_csv(make())) if row["section"] == "payable"]
    assert exact_sum(row["amount_usd"] for row in rows) == exact_sum([total["amount_usd"]]) == exact_sum([f"{cents}e-2"])


@pytest.mark.parametrize("number", EXAMPLES)
def test_the_days_of_each_worked_example_add_up_to_its_usage(number):
    detail = EXAMPLES[number][0]()
    usage = [line for line in table(statement_csv.statement_csv(detail)) if line["line"] in ("usage", "rounding")]
    days = table(daily_csv.daily_csv(detail))
    assert exact_sum(row["amount_usd"] for row in days) == exact_sum(line["amount_usd"] for line in usage)


def test_example_9_by_day_to_the_byte():
    head = ",".join(daily_csv.COLUMNS)
    start, names = "1,acme,2026-11,draft,payable,2026-11-03,", "routed,together,llama,chat,,,"
    tail = "USD,1,a test,rated,measured"
    assert text_of(daily_csv.daily_csv(example_9())).split("\r\n") == [
        head,
        f"{start},usage,{names},requests,3,request,,,,,{tail}",
        f"{start},usage,{names},input_tokens,3,token,0.000000037500,1,false,0.000000112500,{tail}",
        f"{start},rounding,{names},,,,,,,0.000000001500,{tail}",
        "",
    ]


def test_days_name_their_section_and_the_month_they_correct():
    detail = month_detail(
        day_usage("2026-10-31", 1_000, input_tokens=1),
        day_usage("2026-11-01", 2_000, route="provider_key", billable=0, input_tokens=2),
        day_usage("2026-11-02", rate_id=0, price_grade=PriceGrade.UNPRICED, input_tokens=3),
        day_usage("2026-11-03", 4_000, route="unknown", billable=0, input_tokens=4),
        day_usage("2026-11-04", rate_id=0, price_grade=PriceGrade.EXEMPT, billable=0, events=5),
        day_usage("2026-11-05", 6_000, rate_id=0, price_grade=PriceGrade.REPORTED, events=2, input_tokens=6),
    )
    amounts = {
        (row["day"], row["section"], row["origin_month"], row["line"]): row["amount_usd"]
        for row in table(daily_csv.daily_csv(detail))
        if row["quantity_kind"] == ("input_tokens" if row["line"] == "usage" and row["section"] != "failed" else "requests")
    }
    assert amounts == {
        ("2026-10-31", "payable", "2026-10", "usage"): "0.000001000000",
        ("2026-11-01", "owed_to_partner", "", "usage"): "0.000002000000",
        ("2026-11-02", "unpriced", "", "usage"): "",
        ("2026-11-03", "route_unknown", "", "usage"): "0.000004000000",
        ("2026-11-04", "failed", "", "usage"): "0.000000000000",
        ("2026-11-05", "payable", "", "reported"): "0.000006000000",
        ("2026-11-05", "payable", "", "usage"): "",
    }


def test_a_file_comes_in_chunks_with_each_row_once():
    chunks = list(csv_chunks(("n",), ((number,) for number in range(1_200))))
    assert len(chunks) == 3
    assert text_of(chunks) == "n\r\n" + "".join(f"{number}\r\n" for number in range(1_200))


def test_line_ends_quotes_and_commas_in_names_stay_in_their_cells():
    named: dict[str, Any] = dict.fromkeys(("provider", "model", "operation", "project", "key"), 'a"b\r\nc,d\n')
    for chunks in (daily_csv.daily_csv, focus_csv):
        rows = table(chunks(month_detail(day_usage("2026-11-03", 1_000, input_tokens=1, **named))))
        assert all(None not in row and None not in row.values() for row in rows)
        assert 'a"b\r\nc,d\n' in rows[0].values()


any_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(any_text, any_text)
def test_any_names_are_read_back_unchanged(account, model):
    detail = month_detail(day_usage("2026-11-03", 1_000, model=model, input_tokens=1), account=account, **CLOSED)
    row = table(statement_csv.statement_csv(detail))[0]
    assert (row["account"].removeprefix("'"), row["model"].removeprefix("'")) == (
        account.removeprefix("'"),
        model.removeprefix("'"),
    )


def test_a_database_can_load_the_days_and_add_them_up():
    # SQLite reads text; removing the decimal point gives exact integers of 1e-12 dollars
    database = sqlite3.connect(":memory:")
    rows = list(csv.reader(io.StringIO(text_of(daily_csv.daily_csv(example_1())), newline="")))
    columns = ", ".join(f'"{name}" TEXT' for name in rows[0])
    database.execute(f"CREATE TABLE days ({columns})")
    database.executemany(f"INSERT INTO days VALUES ({', '.join('?' * len(rows[0]))})", rows[1:])
    (total,) = database.execute(
        "SELECT sum(CAST(replace(amount_usd, '.', '') AS INTEGER)) FROM days WHERE section = 'payable' AND amount_usd != ''"
    ).fetchone()
    database.close()
    assert total == 27 * 10**12


@pytest.mark.parametrize(
    ("title", "columns"), [("Columns of `csv`", statement_csv.COLUMNS), ("Columns of `daily`", daily_csv.COLUMNS)]
)
def test_every_column_is_documented_in_order(title, columns):
    section = (ROOT / "docs" / "exports.md").read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == columns
