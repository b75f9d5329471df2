"""The index of budgets in memory: which periods are evaluated, and which triggers are due; amounts in dollars."""

import pytest

from metering.operations.budgets.budget_index import group_budgets, periods_by_window
from metering.storage.budgets.budgets import EvaluatedBudget

USD = 1_000_000_000
FIRST, END = 20_000, 20_010


def budget(number=1, dollars=10, **fields):
    usual = {
        "thresholds": "[50, 100]",
        "block_percent": None,
        "scope": "{}",
        "window": "month",
        "first_day": None,
        "end_day": None,
        "basis": "gross",
    }
    return EvaluatedBudget(id=number, amount_nano=dollars * USD, **usual | fields)


def only_group(*budgets):
    (windows,) = group_budgets(budgets)
    (group,) = [*windows.exact.values(), *windows.wide.values()]
    return windows, group


@pytest.mark.parametrize(
    ("days", "evaluated"),
    [([FIRST - 1], False), ([FIRST], True), ([END - 1], True), ([END], False), ([FIRST - 1, END], False), ([END, FIRST], True)],
)
def test_a_fixed_window_is_evaluated_for_usage_on_its_days_only(days, evaluated):
    windows, _ = only_group(budget(window="fixed", first_day=FIRST, end_day=END))
    periods = windows.periods(periods_by_window(days), days)
    assert [(period.first_day, period.end_day) for period in periods] == ([(FIRST, END)] if evaluated else [])


def test_budgets_that_need_the_same_sum_share_a_group_and_others_do_not():
    alike = [budget(1, 10), budget(2, 4)]
    assert len(only_group(*alike)[1].entries) == 4
    for other in (budget(3, window="day"), budget(3, basis="after_credits"), budget(3, scope='{"model": ["llama"]}')):
        assert len(group_budgets([*alike, other])) == 2


def test_a_trigger_is_due_at_its_amount_in_order_of_amounts_and_once():
    windows, group = only_group(budget(1, 10), budget(2, 4, block_percent=100))
    (period,) = windows.periods(periods_by_window([FIRST]), [FIRST])
    assert group.due(period, 2 * USD - 1) == []
    # 50 % of $4.00; 100 % of it with its block; 50 % of $10.00.
    due = [(each.budget_id, each.percent, each.blocks) for each in group.due(period, 5 * USD)]
    assert due == [(2, 50, False), (2, 100, False), (2, 100, True), (1, 50, False)]
    group.mark_fired(period, 4 * USD)
    assert [(each.budget_id, each.percent) for each in group.due(period, 5 * USD)] == [(1, 50)]


def test_what_has_fired_stays_so_when_the_sum_falls_and_in_its_period_only():
    windows, group = only_group(budget())
    november, december = windows.periods(periods_by_window([FIRST, FIRST + 40]), [FIRST, FIRST + 40])
    group.mark_fired(november, 10 * USD)
    group.mark_fired(november, 1 * USD)
    assert group.due(november, 10 * USD) == []
    assert [each.percent for each in group.due(december, 10 * USD)] == [50, 100]
