"""Which budgets are valid, and which triggers are due."""

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
    apply_changes,
    due_triggers,
)
from metering.domain.budgets.periods import Window


def terms(**fields):
    return BudgetTerms(**{"amount_nano": 1_000} | fields)


def types_and_percents(triggers):
    return [(trigger.type, trigger.percent) for trigger in triggers]


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
def test_an_invalid_budget_is_refused_with_a_code(fields, code):
    with pytest.raises(BudgetError) as refused:
        terms(**fields)
    assert refused.value.code == code


def test_a_threshold_is_due_at_its_amount_and_not_a_nano_dollar_before():
    # 80% of 1,001 nano-USD is 800.8: 801 reaches it, 800 does not.
    budget = terms(amount_nano=1_001, thresholds=(80,))
    assert types_and_percents(due_triggers(budget, 800, ())) == []
    assert types_and_percents(due_triggers(budget, 801, ())) == [(THRESHOLD_REACHED, 80)]


def test_a_jump_past_several_thresholds_makes_each_due_in_order_with_a_block_after_its_threshold():
    budget = terms(thresholds=(100, 50, 150, 80), action=Action.BLOCK, block_percent=100)
    assert types_and_percents(due_triggers(budget, 1_200, ())) == [
        (THRESHOLD_REACHED, 50), (THRESHOLD_REACHED, 80), (THRESHOLD_REACHED, 100), (BLOCKED, 100),
    ]  # fmt: skip


def test_a_fired_trigger_is_not_due_again():
    assert types_and_percents(due_triggers(terms(), 900, {(THRESHOLD_REACHED, 50)})) == [(THRESHOLD_REACHED, 80)]


@given(amount=st.integers(1, 10**18), percent=st.integers(1, 1_000), spent=st.integers(0, 10**19))
def test_an_amount_is_reached_exactly_when_the_fraction_is(amount, percent, spent):
    assert (spent >= amount_at(amount, percent)) == (spent * 100 >= amount * percent)


def test_a_request_is_covered_if_it_matches_a_value_of_each_dimension():
    budget = terms(scope={"project": ("a", "b"), "tag:team": ("core",)})
    assert budget.covers([("project", "b"), ("tag:team", "core"), ("provider", "together")])
    assert not budget.covers([("project", "c"), ("tag:team", "core")])
    assert not budget.covers([("project", "a")])
    assert terms().covers([])


def test_a_changed_window_loses_its_days_and_blocking_starts_at_the_full_amount():
    fixed = terms(window=Window.FIXED, first_day=20_000, end_day=20_010)
    assert apply_changes(fixed, {"window": Window.MONTH}) == terms()
    blocking = apply_changes(terms(), {"action": Action.BLOCK})
    assert blocking.block_percent == 100
    assert apply_changes(blocking, {"block_percent": 120}).block_percent == 120
    assert apply_changes(blocking, {"action": Action.NOTIFY}) == terms()
    with pytest.raises(BudgetError, match="needs the action block"):
        apply_changes(terms(), {"block_percent": 90})


def test_a_blocking_threshold_of_zero_is_refused_and_not_replaced_by_the_default():
    with pytest.raises(BudgetError, match="the blocking threshold must be a whole percentage from 1 to 1000, got 0"):
        apply_changes(terms(), {"action": Action.BLOCK, "block_percent": 0})
