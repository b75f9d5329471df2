"""A written amount is read back exactly, in any convention; what is neither grouped nor a fraction is refused."""

import string
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.reconciliation.invoices import InvoiceError
from metering.invoices.amounts import AmountReader
from metering.invoices.currencies import unsigned
from metering.invoices.numbers import read_number

CENT = 10_000_000
CONVENTIONS = [
    (",", "."),
    (".", ","),
    ("'", "."),
    ("\u2019", "."),
    (" ", ","),
    ("\u00a0", ","),
    ("\u202f", "."),
    ("", "."),
    ("", ","),
]
SIGNS = [("", ""), ("-", ""), ("\u2212", ""), ("\u2013", ""), ("", "-"), ("(", ")"), ("+", "")]
DOLLARS = [("", ""), ("$", ""), ("US$ ", ""), ("USD ", ""), ("", " USD"), ("", "$"), ("$", " USD")]


def grouped(digits: str, separator: str) -> str:
    """Write digits in groups of three."""
    head = len(digits) % 3 or 3
    return separator.join([digits[:head], *(digits[at : at + 3] for at in range(head, len(digits), 3))])


@given(
    cents=st.integers(0, 4 * 10**11),
    convention=st.sampled_from(CONVENTIONS),
    sign=st.sampled_from(SIGNS),
    dollars=st.sampled_from(DOLLARS),
    outside=st.booleans(),
)
def test_cents_written_in_a_convention_are_read_back_exactly(cents, convention, sign, dollars, outside):
    separator, mark = convention
    number = f"{grouped(str(cents // 100), separator)}{mark}{cents % 100:02d}"
    first, second = (dollars, sign) if outside else (sign, dollars)
    text = f"{first[0]}{second[0]}{number}{second[1]}{first[1]}"
    negative = sign[0] in ("-", "\u2212", "\u2013", "(") or sign[1] == "-"
    assert AmountReader().dollars(text, "line 2") == (-cents if negative else cents) * CENT


@given(text=st.text(alphabet="0123456789.,' ", min_size=1, max_size=14))
def test_a_text_is_read_only_if_writing_its_value_in_some_convention_gives_it_back(text):
    written = read_number(text)
    if written is None:
        return
    for mark in {written.shows} if written.shows else {".", ","}:
        whole, _, decimals = written.digits(mark).partition(".")
        spelled = {
            f"{grouped(whole, each)}{mark}{decimals}" if decimals else grouped(whole, each) for each in (".", ",", " ", "'", "")
        }
        assert text in spelled
        assert Decimal(written.digits(mark) or "x") >= 0


@given(
    text=st.text(alphabet="0123456789.,' ", min_size=1, max_size=14).filter(lambda text: read_number(text) is None),
    sign=st.sampled_from(SIGNS),
)
def test_anything_else_is_refused_with_any_sign(text, sign):
    stripped = text.strip()
    if read_number(stripped) is not None:
        return
    with pytest.raises(InvoiceError):
        AmountReader().dollars(f"{sign[0]}{text}{sign[1]}", "line 2")


@pytest.mark.parametrize(
    "text",
    [
        "1,234,56", "1.234.56", "3.00 4.00", "3-4", "1,23,456.78", "12,34,567", "1,2345,678.00", "0,123,456", "1 23", "1'23.50",
        "1,234.", "5,", "12.30 CR", "5%", "$5 6$", "--5", "-(5)", "(5", "5)", "(5-)", "-5-", "$", "USD",
        "1,234 567", "1 234'567", "1.234,567.89", "\uff11\uff12", "1" * 65, " " * 60_000 + "1x", "1,234e5,6",
    ],
)  # fmt: skip
def test_what_no_convention_writes_is_refused(text):
    with pytest.raises(InvoiceError, match="line 2") as error:
        AmountReader().dollars(text, "line 2")
    assert error.value.code == "invalid_invoice"


@pytest.mark.parametrize(
    "text", ["C$5", "A$ 5", "CA$5", "HK$5.00", "R$ 5", "5 eur", "12.30CHF", "\u20bf1", "5 \u20ac", "\u20b95", "MXN 5"]
)
def test_other_currencies_are_named_on_either_side(text):
    with pytest.raises(InvoiceError) as error:
        AmountReader().dollars(text, "line 2")
    assert error.value.code == "wrong_currency"


@given(text=st.text(alphabet=string.printable, max_size=70))
def test_signs_and_dollars_are_stripped_or_refused_but_never_fail(text):
    parts = unsigned(text)
    assert parts is None or parts[1] in text


def test_an_open_amount_is_read_as_the_others_of_the_document_show():
    with_points = AmountReader("", lambda: ["1,234", "", None, "12.50"])
    assert with_points.dollars("1,234", "line 2") == 1_234_000_000_000
    with_commas = AmountReader("", lambda: ["1,234", "0,50"])
    assert with_commas.dollars("1,234", "line 2") == 1_234_000_000
    thousands = AmountReader("", lambda: ["1.234", "0,50"])
    assert thousands.dollars("1.234", "line 2") == 1_234_000_000_000
    undecided = AmountReader("", lambda: ["1,234", "5"])
    with pytest.raises(InvoiceError, match="thousands or decimals"):
        undecided.dollars("1,234", "line 2")


def test_the_others_are_looked_at_once_and_only_if_an_amount_is_open():
    looks = []

    def others():
        looks.append(1)
        return ["7"]

    reader = AmountReader("", others)
    reader.dollars("5", "line 2")
    reader.dollars("1 000", "line 2")
    assert looks == []
    assert reader.dollars("1.234", "line 3") == 1_234_000_000
    assert reader.dollars("2.345", "line 4") == 2_345_000_000
    assert (len(looks), reader.assumed) == (1, "1.234")
    reader.dollars("12.5", "line 5")
    assert reader.assumed == ""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1000", 1000), ("1,000", 1000), ("1,234,567", 1_234_567), ("1 000", 1000), ("1\u00a0000", 1000), ("1'000", 1000),
        ("5.0", 5), ("1000.00", 1000), ("-5", -5), ("\u22125", -5), ("(5)", -5), (7, 7), (Decimal("7.00"), 7),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_count_is_whole_and_properly_grouped(text, count):
    assert AmountReader().count(text, "line 2: requests") == count


@pytest.mark.parametrize(
    "text", ["1000,00", "1,00", "1,0000", "12,34", "1.5", "1.000", "1e3", "$5", "5 USD", True, Decimal("1.5"), "9" * 16, "x"]
)
def test_a_count_that_is_not_is_refused(text):
    with pytest.raises(InvoiceError, match="line 2: requests must be a whole number"):
        AmountReader().count(text, "line 2: requests")


def test_counts_and_amounts_of_a_document_share_the_convention():
    comma = AmountReader()
    comma.dollars("0,50", "line 2")
    assert comma.count("1.000", "line 2: requests") == 1000
    with pytest.raises(InvoiceError):
        comma.count("1,000", "line 3: requests")
    point = AmountReader()
    assert point.count("1,000", "line 2: requests") == 1000
    with pytest.raises(InvoiceError, match="different decimal mark"):
        point.dollars("0,50", "line 3")
