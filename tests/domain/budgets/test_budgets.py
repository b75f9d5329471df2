"""What a budget may say, and what it has to tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.budgets.budgets import (
    BLOCKED,
    THRESHOLD_REACHED,
    Action,
    BudgetBasis,
    BudgetError,
    BudgetTerms,
    amount_at,
    changed,
    due_triggers,
)
from metering.domain.budgets.periods import Window


def terms(**fields):
    return BudgetTerms(**{"amount_nano": 1_000} | fields)


def told(found):
    return [(trigger.type, trigger.percent) for trigger in found]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount_nano": 0}, "invalid_amount"),
        ({"amount_nano": -5}, "invalid_amount"),
        ({"amount_nano": 10**18 + 1}, "invalid_amount"),
        ({"thresholds": (0,)}, "invalid_threshold"),
        ({"thresholds": (-1,)}, "invalid_threshold"),
        ({"thresholds": (1_001,)}, "invalid_threshold"),
        ({"thresholds": (50, 80, 50)}, "invalid_threshold"),
        ({"thresholds": ()}, "invalid_threshold"),
        ({"thresholds": tuple(range(1, 52))}, "invalid_threshold"),
        ({"forecast_percent": 1_001}, "invalid_threshold"),
        ({"action": Action.BLOCK}, "invalid_threshold"),
        ({"block_percent": 100}, "invalid_threshold"),
        ({"action": Action.BLOCK, "block_percent": 0}, "invalid_threshold"),
        ({"window": Window.FIXED}, "invalid_window"),
        ({"window": Window.FIXED, "first_day": 20_000}, "invalid_window"),
        ({"window": Window.FIXED, "first_day": 20_000, "end_day": 20_000}, "invalid_window"),
        ({"window": Window.FIXED, "first_day": 20_001, "end_day": 20_000}, "invalid_window"),
        ({"window": Window.FIXED, "first_day": 1, "end_day": 20_000}, "invalid_window"),
        ({"first_day": 20_000, "end_day": 20_001}, "invalid_window"),
        ({"scope": {"colour": ("red",)}}, "invalid_scope"),
        ({"scope": {"tag:": ("red",)}}, "invalid_scope"),
        ({"scope": {"provider": ()}}, "invalid_scope"),
        ({"scope": {"provider": ("b", "a")}}, "invalid_scope"),
        ({"scope": {"model": ("x" * 256,)}}, "invalid_scope"),
        ({"basis": BudgetBasis.AFTER_CREDITS, "window": Window.DAY}, "invalid_basis"),
        ({"basis": BudgetBasis.AFTER_CREDITS, "scope": {"project": ("a",)}}, "invalid_basis"),
        ({"name": "two\nlines"}, "invalid_request"),
    ],
)
def test_what_a_budget_can_not_be_is_refused_with_a_code(fields, code):
    with pytest.raises(BudgetError) as refused:
        terms(**fields)
    assert refused.value.code == code


def test_a_threshold_is_due_at_its_amount_and_not_a_nano_dollar_before():
    # 80 % of 1,001 nano-USD are 800.8: 801 reach it, 800 do not.
    budget = terms(amount_nano=1_001, thresholds=(80,))
    assert told(due_triggers(budget, 800, ())) == []
    assert told(due_triggers(budget, 801, ())) == [(THRESHOLD_REACHED, 80)]


def test_a_jump_past_several_thresholds_tells_each_in_order_and_the_block_after_the_threshold_of_the_same_percentage():
    budget = terms(thresholds=(100, 50, 150, 80), action=Action.BLOCK, block_percent=100)
    assert told(due_triggers(budget, 1_200, ())) == [
        (THRESHOLD_REACHED, 50), (THRESHOLD_REACHED, 80), (THRESHOLD_REACHED, 100), (BLOCKED, 100),
    ]  # fmt: skip


def test_what_fired_is_not_due_again():
    assert told(due_triggers(terms(), 900, {(THRESHOLD_REACHED, 50)})) == [(THRESHOLD_REACHED, 80)]


@given(amount=st.integers(1, 10**18), percent=st.integers(1, 1_000), spent=st.integers(0, 10**19))
def test_an_amount_is_reached_exactly_when_the_fraction_says_so(amount, percent, spent):
    assert (spent >= amount_at(amount, percent)) == (spent * 100 >= amount * percent)


def test_a_request_is_covered_when_each_dimension_of_the_scope_has_one_of_its_values():
    budget = terms(scope={"project": ("a", "b"), "tag:team": ("core",)})
    assert budget.covers([("project", "b"), ("tag:team", "core"), ("provider", "together")])
    assert not budget.covers([("project", "c"), ("tag:team", "core")])
    assert not budget.covers([("project", "a")])
    assert terms().covers([])


def test_a_change_of_the_window_leaves_no_days_behind_and_blocking_begins_at_all_of_the_amount():
    fixed = terms(window=Window.FIXED, first_day=20_000, end_day=20_010)
    assert changed(fixed, {"window": Window.MONTH}) == terms()
    blocking = changed(terms(), {"action": Action.BLOCK})
    assert blocking.block_percent == 100
    assert changed(blocking, {"block_percent": 120}).block_percent == 120
    assert changed(blocking, {"action": Action.NOTIFY}) == terms()
    with pytest.raises(BudgetError, match="for the action block"):
        changed(terms(), {"block_percent": 90})
