"""Plans are dated; an unknown figure is None, never zero."""

from datetime import date
from typing import Any

import pytest

from pricing.errors import InvalidPlanError
from pricing.plans import PlanCatalog, PlanTerms
from support.presence import present


def terms(**overrides):
    fields: dict[str, Any] = {
        "plan": "pro", "effective_from": date(2025, 2, 4), "rank": 1, "per_seat": False, "fee_cents": 900,
        "included_credit_nano": 2_000_000_000, "pay_as_you_go": True, "credits_pay_elsewhere": False, "source": "documentation",
    }  # fmt: skip
    return PlanTerms(**fields | overrides)


def test_terms_apply_from_their_day_until_the_next_entry():
    old, new = terms(), terms(effective_from=date(2026, 8, 21), credits_pay_elsewhere=True)
    catalog = PlanCatalog([new, old])
    assert catalog.terms("pro", date(2025, 2, 3)) is None
    assert catalog.terms("pro", date(2025, 2, 4)) is old
    assert catalog.terms("pro", date(2026, 8, 20)) is old
    assert catalog.terms("pro", date(2026, 8, 21)) is new


def test_plans_are_listed_from_the_lowest_rank():
    assert PlanCatalog([terms(plan="pro", rank=1), terms(plan="free", rank=0)]).plans == ("free", "pro")


def test_an_unknown_plan_is_refused_with_the_known_ones():
    with pytest.raises(InvalidPlanError, match="'gold' is not a plan; the plans are pro") as refused:
        PlanCatalog([terms()]).terms("gold", date(2026, 1, 1))
    assert refused.value.code == "invalid_plan"


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"fee_cents": -1}, "a fee must not be negative, got -1 cents"),
        ({"included_credit_nano": -5}, "credit must not be negative"),
    ],
)
def test_a_negative_amount_is_refused(overrides, reason):
    with pytest.raises(InvalidPlanError, match=reason):
        terms(**overrides)


def test_only_plans_sold_by_the_seat_have_several_seats():
    catalog = PlanCatalog([terms(), terms(plan="team", rank=2, per_seat=True), terms(plan="enterprise", rank=3, per_seat=True)])
    catalog.check_seats("pro", 1)
    catalog.check_seats("team", 5)
    with pytest.raises(
        InvalidPlanError, match=r"pro is not sold by the seat, got 5 seats.*sold by the seat: team, enterprise$"
    ):
        catalog.check_seats("pro", 5)
    with pytest.raises(InvalidPlanError, match="'gold' is not a plan"):
        catalog.check_seats("gold", 1)


def test_an_unknown_fee_stays_unknown():
    assert present(PlanCatalog([terms(fee_cents=None)]).terms("pro", date(2026, 1, 1))).fee_cents is None
