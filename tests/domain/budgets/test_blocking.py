"""A request counts in the budgets whose scope it matches; a gateway sees a budget as its state blocks."""

from datetime import date

import pytest

from metering.domain.budgets.blocking import blocking_budget
from metering.domain.budgets.budgets import Action, Budget, BudgetTerms
from metering.domain.budgets.periods import Window
from metering.domain.instants import day_number, parse_instant
from support.blocking_budgets import ACME, blocking, counted
from support.builders import NOON


@pytest.mark.parametrize(
    ("scope", "request_", "counts"),
    [
        ({}, {}, True),
        ({}, {"account_id": 8}, False),
        ({"model": ("llama", "qwen")}, {}, True),
        ({"model": ("qwen",)}, {}, False),
        ({"provider": ("together",)}, {}, True),
        ({"provider": ("together",)}, {"providers": ("groq",)}, False),
        ({"provider": ("together",)}, {"providers": ("unknown", "groq", "together")}, True),
        ({"provider": ("together",)}, {"providers": ("unknown", "groq")}, False),
        ({"project": ("search",)}, {"project": "search"}, True),
        ({"project": ("search",)}, {}, False),
        ({"project": ("",)}, {}, True),
        ({"key": ("key-1",), "model": ("llama",)}, {"key": "key-1"}, True),
        ({"key": ("key-1",), "model": ("qwen",)}, {"key": "key-1"}, False),
        ({"tag:team": ("core",)}, {"tags": {"team": "core"}}, True),
        ({"tag:team": ("core",)}, {"tags": {"team": "web"}}, False),
        ({"tag:team": ("core",)}, {}, False),
        ({"tag:team": ("",)}, {}, True),
    ],
)
def test_a_request_counts_where_it_matches_one_value_of_each_dimension(scope, request_, counts):
    assert counted(**request_).counts_in(blocking(scope=scope)) is counts


def test_what_is_not_billed_does_not_count_after_credits():
    own_key = counted(billable=False)
    assert own_key.counts_in(blocking())
    assert not own_key.counts_in(blocking(only_billable=True))
    assert counted().counts_in(blocking(only_billable=True))


@pytest.mark.parametrize(("percent", "limit_nano"), [(100, 1_001), (50, 501), (120, 1_202)])
def test_the_limit_is_the_lowest_spend_that_blocks(percent, limit_nano):
    # 50% of 1,001 are 500.5, so 501 is the first amount at which the budget blocks; 120% are 1,201.2.
    terms = BudgetTerms(amount_nano=1_001, action=Action.BLOCK, block_percent=percent, name="cap")
    budget = Budget(3, ACME, NOON, 5, 1, False, terms, "a test", NOON)
    view = blocking_budget(budget, 17, terms.current_period(NOON), only_billable=False)
    assert (view.limit_nano, view.spent_nano, view.title) == (limit_nano, 17, "cap")
    assert (view.start, view.resets_at) == (parse_instant("2026-11-01T00:00:00Z"), parse_instant("2026-12-01T00:00:00Z"))


def test_a_budget_without_a_name_is_known_by_its_id():
    assert blocking(id=12, name="").title == "budget 12"


def test_the_next_period_follows_from_the_window():
    december = parse_instant("2026-12-01T00:00:00Z")
    assert blocking().period_at(december).name == "2026-12"
    fixed = blocking(window=Window.FIXED, first_day=day_number(date(2026, 11, 3)), end_day=day_number(date(2026, 11, 20)))
    assert fixed.period_at(december).name == "2026-11-03/2026-11-20"
