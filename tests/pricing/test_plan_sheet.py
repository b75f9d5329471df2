"""A plan sheet is read exactly; a figure that the source does not state is unknown."""

from datetime import date

import pytest

from pricing.errors import InvalidPlanError
from pricing.plans import PlanTerms
from pricing.sources.plan_sheet import parse_plans

SHEET = """\
plans:
  - plan: pro
    rank: 1
    per_seat: false
    versions:
      - from: 2025-02-04
        fee_usd: "9.00"
        included_credit_usd: "2.00"
        pay_as_you_go: invoiced
        credits_pay_elsewhere: false
        source: documentation
"""
LATER = """\
      - from: unknown
        fee_usd: unknown
        included_credit_usd: unknown
        pay_as_you_go: purchased_credits
        credits_pay_elsewhere: true
        source: announced
"""


def test_terms_are_read_in_cents_and_nano_dollars():
    assert parse_plans(SHEET, name="plans.yaml") == (
        PlanTerms(
            plan="pro", effective_from=date(2025, 2, 4), rank=1, per_seat=False, fee_cents=900,
            included_credit_nano=2_000_000_000, pay_as_you_go=True, credits_pay_elsewhere=False, source="documentation",
        ),
    )  # fmt: skip


def test_a_credit_by_the_day_is_not_one_by_the_month():
    by_day = SHEET.replace('"2.00"\n', '"0.10"\n        included_credit_per: day\n')
    (terms,) = parse_plans(by_day, name="plans.yaml")
    assert (terms.included_credit_nano, terms.daily_credit_nano) == (0, 100_000_000)
    (monthly,) = parse_plans(by_day.replace("per: day", "per: month"), name="plans.yaml")
    assert (monthly.included_credit_nano, monthly.daily_credit_nano) == (100_000_000, 0)
    (unknown,) = parse_plans(by_day.replace('"0.10"', "unknown"), name="plans.yaml")
    assert (unknown.included_credit_nano, unknown.daily_credit_nano) == (None, 0)


def test_an_entry_without_a_date_is_not_applied():
    assert parse_plans(SHEET + LATER, name="plans.yaml") == parse_plans(SHEET, name="plans.yaml")


def test_an_unknown_figure_is_none():
    (_, terms) = parse_plans(SHEET + LATER.replace("from: unknown", "from: 2027-01-01"), name="plans.yaml")
    assert (terms.fee_cents, terms.included_credit_nano, terms.pay_as_you_go) == (None, None, False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("plans:", "plan:", "plans.yaml: missing plans"),
        ("- plan: pro", "- plan: ''", "plans.yaml: plan must be a name"),
        ("rank: 1", "rank: first", "plans.yaml: pro: rank must be a small whole number, got 'first'"),
        ("rank: 1", "rank: -1", "plans.yaml: pro: rank must be a small whole number"),
        ("    per_seat: false\n", "", "plans.yaml: plans: missing per_seat"),
        ("per_seat: false", "per_seat: 5", "plans.yaml: pro: per_seat must be true or false, got '5'"),
        ("2025-02-04", "4 February", "plans.yaml: pro: from '4 February' is not a date"),
        ("2025-02-04", "2025-02-30", "plans.yaml: pro: from '2025-02-30' is not a date"),
        ('"9.00"', '"9.001"', "plans.yaml: pro from 2025-02-04: fee_usd: '9.001' has more than 2 decimals"),
        ('"9.00"', "-9", "pro: a fee must not be negative"),
        ('"9.00"', "[9]", "plans.yaml: pro from 2025-02-04: fee_usd must be text"),
        ('"2.00"', '"2.00"\n        included_credit_per: week', "included_credit_per must be month or day, got 'week'"),
        ("invoiced", "yes", "pay_as_you_go must be invoiced or purchased_credits or none, got 'yes'"),
        ("credits_pay_elsewhere: false", "credits_pay_elsewhere: no", "credits_pay_elsewhere must be true or false, got 'no'"),
        ("        source: documentation\n", "", "plans.yaml: pro: missing source"),
        ("source: documentation", "source: ''", "plans.yaml: pro from 2025-02-04: source must be text"),
        ("rank: 1", "rank: 1\n    seats: 5", "plans.yaml: plans: unknown key seats"),
        ("plan: pro", "plan: &p pro", None),
        ("plan: pro", "plan: *p", "plans.yaml: line 2: aliases"),
    ],
)
def test_an_invalid_plan_is_refused_with_its_place(old, new, message):
    assert old in SHEET
    if message is None:
        assert parse_plans(SHEET.replace(old, new), name="plans.yaml")
        return
    with pytest.raises(InvalidPlanError) as refused:
        parse_plans(SHEET.replace(old, new), name="plans.yaml")
    assert message in str(refused.value)
    assert refused.value.code == "invalid_plan"


def test_all_versions_of_a_plan_are_sold_by_the_seat_or_none():
    sheet = SHEET + LATER.replace("from: unknown", "from: 2027-01-01")
    by_seat = parse_plans(sheet.replace("per_seat: false", "per_seat: true"), name="plans.yaml")
    assert [terms.per_seat for terms in by_seat] == [True, True]


def test_a_plan_listed_twice_is_refused():
    with pytest.raises(InvalidPlanError, match="that is listed once, got 'pro'"):
        parse_plans(SHEET + SHEET.partition("\n")[2], name="plans.yaml")


def test_versions_must_be_ordered_by_date():
    same = SHEET + LATER.replace("from: unknown", "from: 2025-02-04")
    with pytest.raises(InvalidPlanError, match="pro from 2025-02-04: versions must be ordered by date"):
        parse_plans(same, name="plans.yaml")
