"""Amounts are read exactly, and an ambiguous amount is refused."""

from decimal import Decimal

import pytest

from metering.domain.reconciliation.invoices import InvoiceError
from metering.invoices.amounts import AmountReader


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("770", 770_000_000_000),
        ("$1,234.56", 1_234_560_000_000),
        ("1.234,56", 1_234_560_000_000),
        ("1 234,56 USD", 1_234_560_000_000),
        ("1'234.56", 1_234_560_000_000),
        ("US$ 0.000000001", 1),
        ("0,05", 50_000_000),
        ("12,3456", 12_345_600_000),
        ("1,234,567", 1_234_567_000_000_000),
        ("1.234.567", 1_234_567_000_000_000),
        ("-12.30", -12_300_000_000),
        ("(12.30)", -12_300_000_000),
        ("12.30-", -12_300_000_000),
        ("\u221212.30", -12_300_000_000),
        ("1e-9", 1),
        (".5", 500_000_000),
        ("0.0000000014", 1),
        ("0.0000000015", 2),
        ("-0.0000000015", -2),
    ],
)
def test_dollars_become_nano_dollars(text, nano):
    assert AmountReader().dollars(text, "line 1") == nano


@pytest.mark.parametrize("text", ["", "-", "twelve", "1.2.3,4,5", "NaN", "Infinity", "1e99", "٣", "12 34 56.7.8"])
def test_a_text_that_is_not_an_amount_is_refused(text):
    with pytest.raises(InvoiceError, match="line 1"):
        AmountReader().dollars(text, "line 1")


def test_an_ambiguous_amount_is_refused_unless_the_decimal_mark_is_known():
    with pytest.raises(InvoiceError, match="thousands or decimals"):
        AmountReader().dollars("1,234", "line 1")
    assert AmountReader(".").dollars("1,234", "line 1") == 1_234_000_000_000
    assert AmountReader(",").dollars("1,234", "line 1") == 1_234_000_000
    reader = AmountReader()
    reader.dollars("0,50", "line 1")
    assert reader.dollars("1,234", "line 2") == 1_234_000_000


def test_the_decimal_mark_does_not_change_within_a_document():
    amounts = AmountReader()
    amounts.dollars("1,234.50", "line 1")
    with pytest.raises(InvoiceError, match=r"line 2.*different decimal mark"):
        amounts.dollars("12,50", "line 2")


def test_a_decimal_comma_after_an_amount_read_with_a_decimal_point_is_refused():
    amounts = AmountReader()
    assert amounts.dollars("1.234", "line 1") == 1_234_000_000
    with pytest.raises(InvoiceError, match=r"line 2.*'1.234'.*decimal point; name the decimal mark"):
        amounts.dollars("0,05", "line 2")
    reader = AmountReader(",")
    assert (reader.dollars("1.234", "line 1"), reader.dollars("0,05", "line 2")) == (1_234_000_000_000, 50_000_000)


@pytest.mark.parametrize("text", ["€12.30", "12.30 EUR", "£1", "CHF 5"])
def test_another_currency_is_refused(text):
    with pytest.raises(InvoiceError) as error:
        AmountReader().dollars(text, "line 1")
    assert error.value.code == "wrong_currency"


def test_the_unit_of_the_amounts_is_tracked():
    amounts = AmountReader()
    assert amounts.dollars("27.00", "") == 27_000_000_000
    assert amounts.unit_nano == 10_000_000
    amounts.dollars("0.0001", "")
    assert amounts.unit_nano == 100_000
    amounts.nano(3, "")
    assert amounts.unit_nano == 1


def test_cents_may_have_decimals():
    assert AmountReader().cents(12, "") == 120_000_000
    assert AmountReader().cents(Decimal("0.0375"), "") == 375_000


@pytest.mark.parametrize("value", [1.5, "1.5", True, None, "1_000", Decimal("0.1")])
def test_nano_dollars_are_whole(value):
    with pytest.raises(InvoiceError):
        AmountReader().nano(value, "line 1")
