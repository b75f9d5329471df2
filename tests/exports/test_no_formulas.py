"""No text of a statement becomes a formula in a spreadsheet, in any format and whichever field it comes from."""

import io
import re
from typing import Any

import msgspec
import openpyxl
import pytest
from msgspec.structs import replace

from metering.domain.statements.month_detail import MonthDetail
from metering.domain.statements.statements import ExcludedUsage, StatementLine, StatementLineKind
from metering.domain.usage.events import PriceGrade
from metering.exports.csv_text import escape_formula
from metering.exports.formats import FORMATS, export_format
from pricing.quantities import ALL_KINDS
from support.builders import CLOSED, day_usage, month_detail, rate
from support.exported_files import table

FORMULA = '=HYPERLINK("https://example.com","{}")'
# Values of these fields come from this program, never from a client or a price list.
ENUMERATED = {"kind", "route", "status", "quantity_kind", "digest", "tags"}
CSV_FORMATS = [each for each in FORMATS.values() if each.suffix == "csv"] + [export_format("focus", "1.3")]
FOCUS_TEXTS = {
    "BillingAccountId", "BillingAccountName", "InvoiceId", "InvoiceIssuerName", "ChargeDescription", "PublisherName",
    "SubAccountId", "SubAccountName", "ResourceId", "SkuId", "SkuPriceId", "SkuPriceDetails", "x_Provider", "x_Operation",
    "x_Key", "x_PriceSource",
}  # fmt: skip
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def hostile(value, path="statement"):
    """Return a value in which every text that is not enumerated is a formula that names its place."""
    if isinstance(value, msgspec.Struct):
        texts = {
            name: hostile(getattr(value, name), f"{path}.{name}")
            for name in type(value).__struct_fields__
            if name not in ENUMERATED
        }
        return replace(value, **texts)
    if isinstance(value, tuple):
        return tuple(hostile(part, f"{path}.{number}") for number, part in enumerate(value))
    return FORMULA.format(path) if isinstance(value, str) else value


def priced_by(name):
    """Return a rate whose texts are formulas."""
    texts: dict[str, Any] = {field: FORMULA.format(f"{name}.{field}") for field in ("provider", "model", "operation", "source")}
    return rate(id=1, table_id=7, **texts)


@pytest.fixture(scope="module")
def detail():
    """A statement with every kind of line and section, and all its texts formulas."""
    names: dict[str, Any] = {name: FORMULA.format(name) for name in ("provider", "model", "operation", "project", "key")}
    days = [
        day_usage("2026-11-03", 1_000_000, input_tokens=999, tags='{"team":"=1+1"}', **names),
        day_usage("2026-11-03", 5_000_000, route="provider_key", billable=0, input_tokens=5_000, **names),
        day_usage("2026-11-04", 7_000, rate_id=0, price_grade=PriceGrade.REPORTED, **names),
        day_usage("2026-11-04", rate_id=0, price_grade=PriceGrade.UNPRICED, input_tokens=5, **names),
        day_usage("2026-11-04", rate_id=0, price_grade=PriceGrade.EXEMPT, billable=0, **names),
    ]
    drafted = month_detail(*days, rates=[priced_by("rate")], **CLOSED)
    lines = drafted.statement.lines
    added = tuple(
        StatementLine(kind=kind, description="x", amount_pico=0)
        for kind in StatementLineKind
        if kind not in {line.kind for line in lines}
    )
    unpriced = ExcludedUsage(
        route="routed", provider="p", model="m", events=1, quantities=(1,) * len(ALL_KINDS), amount_nano=None
    )
    statement = replace(drafted.statement, lines=(*added, *lines), unpriced=(unpriced,), route_unknown=(unpriced,))
    return MonthDetail(hostile(statement), days, drafted.rates)


@pytest.mark.parametrize("format_", CSV_FORMATS, ids=lambda each: f"{each.name}-{each.focus_version or ''}")
def test_no_cell_of_a_csv_starts_like_a_formula(detail, format_):
    cells = [(name, cell) for row in table(format_.chunks(detail)) for name, cell in row.items()]
    assert [(name, cell) for name, cell in cells if cell.startswith(STARTS) and not NUMBER.fullmatch(cell)] == []


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("csv", {"account", "description", "provider", "model", "price_source"}),
        ("daily", {"account", "provider", "model", "operation", "project", "key", "price_source"}),
        ("focus", FOCUS_TEXTS),
    ],
)
def test_the_hostile_statement_reaches_every_column_of_text(detail, name, columns):
    reached = {column for row in table(FORMATS[name].chunks(detail)) for column, cell in row.items() if "HYPERLINK" in cell}
    assert reached >= columns


def test_no_cell_of_a_workbook_is_a_formula_or_a_link(detail):
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(FORMATS["xlsx"].chunks(detail)))).active
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s", "n"}
    assert [cell for cell in cells if cell.hyperlink] == []
    assert {cell.data_type for cell in cells if "HYPERLINK" in str(cell.value)} == {"s"}


@pytest.mark.parametrize("start", [*STARTS, "＝", "＋", "－", "＠"])
def test_text_that_a_spreadsheet_would_execute_is_escaped(start):
    assert escape_formula(f"{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"
    assert escape_formula(f"a{start}") == f"a{start}"
