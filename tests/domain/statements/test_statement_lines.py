"""The lines of a statement, word for word: closed statements seal their descriptions."""

from datetime import date

from metering.domain.accounts.plan_history import FeeLine, PlanMonth
from metering.domain.credits.adjustments import Adjustment
from metering.domain.credits.credit_ledger import CreditCorrection
from metering.domain.credits.credits import INCLUDED, PROMOTIONAL, CreditApplied, CreditGrant, MonthCredits
from metering.domain.statements.statement_lines import adjustment_lines, carried_line, credit_lines, described, fee_lines

SEPTEMBER, OCTOBER, NOVEMBER = 202609, 202610, 202611
USD = 1_000_000_000
PICO = 1_000_000_000_000
GIFT = CreditGrant(7, PROMOTIONAL, 5 * USD, 0, reference="gift-7")
INCLUDED_CREDITS = CreditGrant(3, INCLUDED, 2 * USD, 0)


def shown(lines):
    return [(line.description, line.amount_pico, line.origin_month) for line in lines]


def fees(*lines):
    return PlanMonth(NOVEMBER, "team", 5, lines, None, credits_pay_elsewhere=False, invoiced=False)


def test_credits_lower_the_total_by_what_they_paid():
    paid = (CreditApplied(INCLUDED_CREDITS, 2 * USD, 0), CreditApplied(GIFT, 3 * USD, 2 * USD))
    month = MonthCredits(NOVEMBER, paid, 0, 2 * USD, 0)
    assert shown(credit_lines(month, [])) == [
        ("Included credit", -2 * PICO, None),
        ("Promotional credit gift-7", -3 * PICO, None),
    ]


def test_a_corrected_month_is_named_with_what_credits_pay_more_or_less():
    corrections = [CreditCorrection(INCLUDED_CREDITS, SEPTEMBER, 1 * USD), CreditCorrection(GIFT, OCTOBER, -4 * USD)]
    assert shown(credit_lines(MonthCredits(NOVEMBER, (), 0, 0, 0), corrections)) == [
        ("Included credit applied to 2026-09", -1 * PICO, SEPTEMBER),
        ("Promotional credit gift-7 restored from 2026-10", 4 * PICO, OCTOBER),
    ]


def test_adjustments_come_by_the_month_that_they_are_about():
    adjusted = [
        Adjustment(billing_month=NOVEMBER, origin_month=NOVEMBER, amount_nano=-USD, reason="agreed", reference="r2", id=1),
        Adjustment(billing_month=NOVEMBER, origin_month=OCTOBER, amount_nano=3 * USD, reason="late", reference="r1", id=2),
    ]
    assert shown(adjustment_lines(adjusted, NOVEMBER)) == [
        ("Adjustment r1: late", 3 * PICO, OCTOBER),
        ("Adjustment r2: agreed", -1 * PICO, None),
    ]


def test_a_fee_states_its_seats_and_the_days_that_it_is_for():
    lines = fee_lines(
        fees(
            FeeLine("pro", 1, date(2026, 11, 1), 30, 30, 9_00),
            FeeLine("team", 5, date(2026, 11, 16), 15, 30, 50_00),
            FeeLine("enterprise", 2, date(2026, 11, 1), 30, 30, None),
        )
    )
    assert [(line.description, line.amount_pico, line.quantity) for line in lines] == [
        ("Subscription pro", 9 * PICO, 30),
        ("Subscription team, 5 seats, 15 of 30 days from 2026-11-16", 50 * PICO, 15),
        ("Subscription enterprise, 2 seats; the fee is not known", None, 30),
    ]


def test_a_carried_amount_keeps_its_sign():
    assert shown([carried_line("Carried forward", -16_00), carried_line("Carried forward", 16_00)]) == [
        ("Carried forward", -16 * PICO, None),
        ("Carried forward", 16 * PICO, None),
    ]


def test_a_kind_of_quantity_is_described_in_words():
    assert [described(kind) for kind in ("cache_read_tokens", "compute_ms", "images")] == [
        "cache read tokens",
        "compute time",
        "images",
    ]
