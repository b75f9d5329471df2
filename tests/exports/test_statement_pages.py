"""The HTML page, the PDF and the workbook show the statement, whatever characters names contain."""

import io
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from metering.domain.accounts.plan_history import FeeLine, PlanMonth
from metering.domain.statements.statements import Flag, StatementLine, StatementLineKind
from metering.exports.printed_statement import printed_statement
from metering.exports.statement_csv import statement_csv
from metering.exports.statement_html import statement_html
from metering.exports.statement_pdf import statement_pdf
from metering.exports.statement_xlsx import EXACT, statement_xlsx
from pricing.money import PICO_PER_CENT
from support.builders import CLOSED, day_usage, month_detail, rate
from support.exported_files import exact_sum, table, text_of
from support.presence import present
from support.statement_examples import DOLLAR, EXAMPLES, by_hand, example_1, example_7, example_10, other, usage_line

EVIL = "<script>alert('x')</script>&\"</style>"


class Page(HTMLParser):
    """A page as a browser parses it: its elements, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.text, self.open = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def page(detail):
    return Page(text_of(statement_html(detail)))


def pdf(detail):
    return PdfReader(io.BytesIO(b"".join(statement_pdf(detail))))


def pdf_text(detail):
    return "\n".join(sheet.extract_text() for sheet in pdf(detail).pages)


def workbook(detail):
    return openpyxl.load_workbook(io.BytesIO(b"".join(statement_xlsx(detail)))).active


def shown_dollars(cents):
    return f"${cents // 100}.{cents % 100:02}"


@pytest.mark.parametrize("number", EXAMPLES)
def test_page_and_pdf_show_the_total_of_each_worked_example(number):
    make, cents = EXAMPLES[number]
    for text in (page(make()).text, pdf_text(make())):
        assert f"Total payable{shown_dollars(cents)}" in text.replace("\n", "")


def test_a_page_shows_every_line_with_quantity_price_rate_and_amount():
    text = page(example_1()).text
    for part in ("acme", "November 2026", "llama at together", "30,000,000", "$0.90 / 1M", "27.00", "-2.00", "9.00", "a test"):
        assert part in text


@pytest.mark.parametrize("show", [lambda detail: page(detail).text, pdf_text])
def test_page_and_pdf_show_quantity_price_and_amount_with_all_decimals(show):
    # 1,234,567 tokens at 900,001 pico-dollars are 1,111,111,534,567 pico-dollars.
    text = show(by_hand(usage_line(1_234_567, 900_001, rate(id=41)), total_cents=1_11)).replace("\n", " ")
    for part in ("1,234,567", "$0.900001 / 1M", "41", "$1.11"):
        assert part in text
    # In the summary, of the model, of the line, of all usage.
    assert text.count("1.111111534567") == 4


@pytest.mark.parametrize("show", [lambda detail: page(detail).text, pdf_text])
def test_a_closed_statement_shows_its_digest_and_a_draft_is_marked_as_one(show):
    closed, draft = show(month_detail(**CLOSED)), show(month_detail())
    assert CLOSED["digest"] in closed
    assert "Closed 2026-12-04 00:00 UTC" in closed
    assert "Draft" in draft
    assert "Closed" not in draft


@pytest.mark.parametrize("show", [lambda detail: page(detail).text, pdf_text])
def test_corrections_name_the_month_they_correct(show):
    assert show(example_7()).count("correction of 2026-10") == 1
    text = show(example_10())
    assert text.count("correction of 2026-10") == 2
    assert "-26.00" in text
    assert "16.00" in text


@pytest.mark.parametrize("show", [lambda detail: page(detail).text, pdf_text])
def test_usage_excluded_from_the_total_is_marked_as_excluded(show):
    partner = day_usage("2026-11-03", 5_000_000_000, route="provider_key", billable=0, input_tokens=5_000_000)
    unpriced = day_usage(rate_id=0, price_grade=2, model="new/model", input_tokens=77)
    unknown = day_usage(rate_id=0, price_grade=2, route="unknown", billable=0, model="unrouted/model", input_tokens=5)
    text = show(month_detail(partner, unpriced, unknown, plan=""))
    total, _, excluded = text.partition("Total payable")[2].partition("Owed to partners")
    assert "$0.00" in total
    assert excluded.replace("\n", " ").count("excluded from the total") >= 3
    assert all(part in excluded for part in ("5.00", "new/model", "77", "unrouted/model", "unknown"))


@pytest.mark.parametrize("show", [lambda detail: page(detail).text, pdf_text])
def test_an_unknown_fee_is_not_shown_as_zero(show):
    text = show(month_detail(plan="team", month=202609))
    assert "unknown" in text
    assert "The fee of a plan is unknown and excluded from the total" in text
    fees = dict(printed_statement(month_detail(plan="team", month=202609).statement).others)
    assert fees["Subscription"].amount == "unknown"


@pytest.mark.parametrize("show", [lambda detail: page(detail).text, pdf_text])
def test_a_partly_known_fee_shows_its_known_part(show):
    pro = FeeLine("pro", 1, date(2026, 11, 1), 15, 30, 450)
    team = FeeLine("team", 5, date(2026, 11, 16), 15, 30, None)
    plan = PlanMonth(202611, "team", 5, (pro, team), 10_000_000_000, True, True)
    known = StatementLine(
        kind=StatementLineKind.SUBSCRIPTION, description="Subscription pro, 15 of 30 days", amount_pico=450 * PICO_PER_CENT
    )
    unknown = StatementLine(kind=StatementLineKind.SUBSCRIPTION, description="Subscription team, 5 seats", amount_pico=None)
    detail = by_hand(known, unknown, plan=plan, total_cents=450)
    assert ("Subscription", "$4.50") in printed_statement(detail.statement).summary
    assert ("Other fees", "unknown") in printed_statement(detail.statement).summary
    assert "Other fees" in show(detail)


def test_the_summary_of_a_wholly_unknown_fee_has_one_figure():
    summary = dict(printed_statement(month_detail(plan="team", month=202609).statement).summary)
    assert summary["Subscription"] == "unknown"
    assert "Other fees" not in summary


@pytest.mark.parametrize("show", [lambda detail: page(detail).text, pdf_text])
def test_every_flag_has_a_note(show):
    detail = month_detail(flags=frozenset(Flag))
    notes = [note.text for note in printed_statement(detail.statement).notes]
    assert len(notes) == len(Flag)
    text = " ".join(show(detail).split())
    assert all(note in text for note in notes)


def test_hostile_names_are_shown_as_text():
    named: dict[str, Any] = dict.fromkeys(("provider", "model", "operation"), EVIL)
    priced = rate(id=1, source=EVIL, operation=EVIL)
    unpriced = day_usage(rate_id=0, price_grade=2, **named)
    days = [day_usage("2026-11-03", 1_000, input_tokens=1, **named), unpriced]
    detail = month_detail(*days, rates=[priced], account=EVIL, digest=EVIL, status=EVIL, flags=frozenset(Flag))
    found = page(detail)
    assert "script" not in found.elements
    assert found.elements.count("style") == 1
    assert not [name for name in found.attributes if name.startswith("on") or name in ("src", "href")]
    assert found.text.count(EVIL) >= 7
    assert found.open == []


def test_a_page_loads_nothing():
    text = text_of(statement_html(example_1()))
    assert not any(part in text for part in ("http:", "https:", "url(", "@import", "<link", "<img"))


def test_each_pdf_page_has_its_number_the_digest_and_a_table_head():
    lines = [usage_line(number, 900_000, rate(id=1)) for number in range(1, 200)]
    exact = sum(present(line.amount_pico) for line in lines)
    found = pdf(by_hand(*lines, total_cents=round(exact / 10**10), **CLOSED))
    sheets = [sheet.extract_text() for sheet in found.pages]
    assert len(sheets) > 2
    for number, text in enumerate(sheets, 1):
        assert f"Page {number} of {len(sheets)}" in text
        assert CLOSED["digest"] in text
    assert all("Quantity" in text for text in sheets[:-1])


def test_a_character_missing_from_the_fonts_becomes_its_code_point():
    text = pdf_text(month_detail(account="Söhne 日"))
    assert "Söhne \\u65e5" in text


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=30, deadline=None)
def test_any_names_give_a_page_and_a_pdf(account, model):
    detail = month_detail(
        day_usage("2026-11-03", 900_000_000, model=model or "m", input_tokens=900_000), account=account or "a"
    )
    assert page(detail).open == []
    assert "$9.00" in pdf_text(detail)


def test_the_same_statement_gives_the_same_bytes():
    for write in (statement_html, statement_pdf, statement_xlsx):
        assert b"".join(write(example_1())) == b"".join(write(example_1()))


@pytest.mark.parametrize("number", EXAMPLES)
def test_a_workbook_has_the_rows_of_the_csv_with_numbers_and_exact_text(number):
    make, _ = EXAMPLES[number]
    header, *rows = [[cell.value for cell in row] for row in workbook(make()).iter_rows()]
    expected = table(statement_csv(make()))
    assert len(rows) == len(expected)
    for row, want in zip(rows, expected, strict=True):
        got = dict(zip(header, row, strict=True))
        exact = got.pop(EXACT)
        assert exact == (want["amount_usd"] or None)
        for name in ("quantity", "price_usd", "amount_usd"):
            value = got[name]
            assert value is None if want[name] == "" else Decimal(str(value)) == Decimal(want[name])
        assert (got["description"], got["line"]) == (want["description"], want["line"])


def test_a_workbook_has_all_twelve_decimals_as_text():
    line = other(StatementLineKind.ADJUSTMENT, "Much", 123_456 * DOLLAR + 1)
    sheet = workbook(by_hand(line, other(StatementLineKind.ADJUSTMENT, "Less", -1), total_cents=12_345_600))
    at = [cell.value for cell in sheet[1]].index(EXACT)
    assert sheet[2][at].value == "123456.000000000001"


def test_no_cell_of_a_workbook_is_a_formula():
    detail = month_detail(day_usage("2026-11-03", 1_000, model="=1+1", input_tokens=1), account="=HYPERLINK(1)")
    cells = [cell for row in workbook(detail).iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert "=HYPERLINK(1)" in {cell.value for cell in cells}


amounts = st.lists(st.integers(-(10**16), 10**16), min_size=1, max_size=8)


@given(amounts)
@settings(deadline=None)
def test_any_amounts_add_up_to_the_total_in_each_file(found):
    exact = sum(found)
    cents = round(Decimal(exact).scaleb(-10).to_integral_value("ROUND_HALF_UP"))
    lines = [other(StatementLineKind.ADJUSTMENT, f"No. {number}", amount) for number, amount in enumerate(found)]
    detail = by_hand(*lines, total_cents=cents)
    header, *rows = [[cell.value for cell in row] for row in workbook(detail).iter_rows()]
    *above, total = [row[header.index(EXACT)] for row in rows]
    assert exact_sum(above) == Decimal(total) == Decimal(cents) / 100
    *above, total = [row["amount_usd"] for row in table(statement_csv(detail))]
    assert exact_sum(above) == Decimal(total) == Decimal(cents) / 100
