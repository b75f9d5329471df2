"""Budgets are created, changed and deleted by their owners, one revision per change, and concurrent changes are all kept."""

import threading
from datetime import date

import pytest

from metering.domain.budgets.budgets import BudgetTerms
from metering.domain.budgets.periods import Window
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import day_number
from metering.operations.budgets import manage_budgets as operation
from metering.operations.budgets.manage_budgets import (
    Author,
    change_budget,
    create_budget,
    delete_budget,
    list_budgets,
    show_budget,
)
from pricing.bundled import bundled_plans

CATALOG = bundled_plans()
USD = 1_000_000_000
ACME = 2


def author(meter):
    return Author("test", meter.now)


def create(meter, account="acme", **terms):
    return create_budget(meter.engine, account, BudgetTerms(amount_nano=USD, **terms), author(meter), CATALOG).budget.id


def change(meter, budget_id, owner=None, **changes):
    return change_budget(meter.engine, budget_id, changes, author(meter), CATALOG, owner=owner)


def show(meter, budget_id, **options):
    return show_budget(meter.engine, budget_id, CATALOG, now=meter.now, **options)


def day(text):
    return day_number(date.fromisoformat(text))


def test_a_change_keeps_other_fields_and_records_one_revision(meter):
    budget_id = create(meter, name="search", thresholds=(80,))
    assert change(meter, budget_id, amount_nano=2 * USD).budget.revision == 2
    assert change(meter, budget_id, amount_nano=2 * USD).budget.revision == 2
    details, revisions = show(meter, budget_id)
    terms = details.budget.terms
    assert (terms.amount_nano, terms.name, terms.thresholds) == (2 * USD, "search", (80,))
    assert [(each.revision, each.terms.amount_nano, each.recorded_by) for each in revisions] == [
        (1, USD, "test"),
        (2, 2 * USD, "test"),
    ]


def test_changes_of_different_fields_at_once_are_all_kept(meter):
    budget_id = create(meter)
    fields = {"amount_nano": 7 * USD, "name": "all", "thresholds": (90,), "forecast_percent": 120}
    barrier = threading.Barrier(len(fields))

    def run(name, value):
        barrier.wait()
        change(meter, budget_id, **{name: value})

    threads = [threading.Thread(target=run, args=each) for each in fields.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    details, revisions = show(meter, budget_id)
    assert {name: getattr(details.budget.terms, name) for name in fields} == fields
    assert len(revisions) == 1 + len(fields)


def test_for_a_bound_caller_other_budgets_do_not_exist(meter):
    meter.declare("globex")
    own, other = create(meter), create(meter, "globex")
    calls = (
        lambda budget_id: show(meter, budget_id, owner=ACME),
        lambda budget_id: change(meter, budget_id, owner=ACME, amount_nano=5),
        lambda budget_id: delete_budget(meter.engine, budget_id, author(meter), owner=ACME),
    )
    for call in calls:
        for budget_id in (other, 999):
            with pytest.raises(NotFoundError, match=f"there is no budget {budget_id}; `metering budgets list` shows all"):
                call(budget_id)
        call(own)
    assert [each.budget.id for each in list_budgets(meter.engine, CATALOG, now=meter.now)] == [other]
    assert show(meter, other)[0].budget.revision == 1


def test_a_day_outside_of_a_fixed_window_has_no_period(meter):
    budget_id = create(meter, window=Window.FIXED, first_day=day("2026-11-03"), end_day=day("2026-11-20"))
    assert show(meter, budget_id, day=day("2026-11-19"))[0].state.period.name == "2026-11-03/2026-11-20"
    message = "no period that contains 2026-11-20; its window is 2026-11-03/2026-11-20"
    with pytest.raises(NotFoundError, match=message):
        show(meter, budget_id, day=day("2026-11-20"))


def test_an_account_has_a_limit_on_budgets(meter, monkeypatch):
    monkeypatch.setattr(operation, "MAX_BUDGETS", 2)
    first = create(meter)
    create(meter)
    with pytest.raises(DomainError, match="'acme' has 2 budgets, which is the limit"):
        create(meter)
    delete_budget(meter.engine, first, author(meter))
    create(meter)
