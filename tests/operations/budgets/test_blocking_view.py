"""A view has what blocking budgets cover and have spent, exactly as of a position of a gateway's journal."""

from contextlib import contextmanager
from typing import Any

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.domain.budgets.blocking import BilledAccount
from metering.domain.budgets.budgets import Action, BudgetBasis, BudgetTerms
from metering.operations.budgets.blocking_view import BlockingBudgets
from metering.operations.budgets.manage_budgets import Author, change_budget, create_budget, delete_budget
from metering.storage.accounts.accounts import rename_account
from metering.storage.engine.database import exclusive_write
from pricing.quantities import Quantities
from support.builders import instant, usage_event
from support.meter import PLANS
from support.presence import present

USD, CENT = 1_000_000_000, 10_000_000
ACME = 2
NOVEMBER = instant("2026-11-10T00:00:00Z")


def block(meter, account="acme", **terms):
    fields: dict[str, Any] = {"amount_nano": 5 * USD, "action": Action.BLOCK, "block_percent": 100} | terms
    return create_budget(meter.engine, account, BudgetTerms(**fields), Author("a test", meter.now), PLANS).budget.id


def use(meter, cents, **fields):
    meter.ingest(usage_event(**{"time": NOVEMBER, "quantities": Quantities(input_tokens=cents * 10_000)} | fields))


@contextmanager
def stored_up_to_17():
    yield 17


class Reader:
    def __init__(self, meter):
        self.budgets = BlockingBudgets(meter.engine, PLANS, lambda: meter.now, meter.settings.declared_tags)

    def view(self, *names):
        return present(self.budgets.read(names or ("acme",), stored_up_to_17))

    def spent(self, *names):
        return {each.id: each.spent_nano for each in self.view(*names).budgets}


def test_without_a_budget_that_blocks_nothing_else_is_read(meter):
    create_budget(meter.engine, "acme", BudgetTerms(amount_nano=USD), Author("a test", meter.now), PLANS)
    view = Reader(meter).view()
    assert (view.has_blocking, view.accounts, view.budgets, view.as_of) == (False, {}, [], 17)


def test_a_view_has_the_limit_of_a_blocking_budget_and_what_its_scope_has_spent(meter):
    meter.configure(declared_tags=["team"])
    everything = block(meter, name="all")
    search = block(meter, amount_nano=USD, block_percent=50, scope={"project": ("search",)})
    create_budget(meter.engine, "acme", BudgetTerms(amount_nano=USD), Author("a test", meter.now), PLANS)
    use(meter, 30, project="search")
    use(meter, 12)
    use(meter, 99, time=instant("2026-10-31T23:59:59Z"))
    use(meter, 99, account="globex")
    view = Reader(meter).view()
    assert view.has_blocking
    assert view.declared_tags == ["team"]
    assert [(each.id, each.name, each.limit_nano, each.spent_nano) for each in view.budgets] == [
        (everything, "all", 5 * USD, 42 * CENT),
        (search, "", 50 * CENT, 30 * CENT),
    ]
    assert view.budgets[1].scope == {"project": ("search",)}
    assert {each.resets_at for each in view.budgets} == {instant("2026-12-01T00:00:00Z")}


def test_only_accounts_that_were_asked_for_are_read_under_any_of_their_names(meter):
    meter.declare("globex", "provider_key")
    block(meter)
    other = block(meter, "globex")
    with exclusive_write(meter.engine) as connection:
        rename_account(connection, ACME, "acme-inc", since=meter.now - 1)
    reader = Reader(meter)
    view = reader.view("globex", "acme", "nobody")
    assert view.accounts == {
        "globex": BilledAccount(3, "provider_key"),
        "acme": BilledAccount(UNASSIGNED_ID, ""),
        "nobody": BilledAccount(UNASSIGNED_ID, ""),
    }
    assert [each.id for each in view.budgets] == [other]
    assert [each.account_id for each in reader.view("acme-inc", "globex").budgets] == [ACME, 3]


def test_changes_of_budgets_and_new_spend_are_in_the_next_view(meter):
    reader = Reader(meter)
    assert not reader.view().has_blocking
    budget = block(meter)
    assert reader.spent() == {budget: 0}
    use(meter, 7)
    assert reader.spent() == {budget: 7 * CENT}
    change_budget(meter.engine, budget, {"amount_nano": 9 * USD}, Author("a test", meter.now), PLANS)
    (view,) = reader.view().budgets
    assert (view.limit_nano, view.spent_nano) == (9 * USD, 7 * CENT)
    delete_budget(meter.engine, budget, Author("a test", meter.now))
    assert not reader.view().has_blocking


def test_the_period_is_the_current_one_by_the_clock(meter):
    budget = block(meter)
    use(meter, 7)
    reader = Reader(meter)
    assert reader.spent() == {budget: 7 * CENT}
    meter.now = instant("2026-12-01T00:00:00Z")
    (view,) = reader.view().budgets
    assert (view.spent_nano, view.start) == (0, meter.now)


def test_credits_that_are_left_are_spend_below_zero(meter):
    budget = block(meter, amount_nano=USD, basis=BudgetBasis.AFTER_CREDITS)
    reader = Reader(meter)
    meter.grant(50 * CENT, granted_at=instant("2026-11-01T00:00:00Z"))
    assert reader.spent() == {budget: -50 * CENT}
    use(meter, 20)
    use(meter, 90, route="provider_key")
    assert reader.spent() == {budget: -30 * CENT}
    use(meter, 45)
    assert reader.spent() == {budget: 15 * CENT}
    assert reader.view().budgets[0].only_billable


def test_no_view_is_given_while_the_position_is_not_exact(meter):
    @contextmanager
    def in_the_middle():
        yield None

    block(meter)
    assert Reader(meter).budgets.read(["acme"], in_the_middle) is None


def test_what_is_stored_after_the_position_was_taken_is_not_in_the_view(meter):
    budget = block(meter)
    use(meter, 5)
    reader = Reader(meter)

    @contextmanager
    def then_more_is_stored():
        yield 3
        use(meter, 60)

    view = present(reader.budgets.read(["acme"], then_more_is_stored))
    assert [(each.id, each.spent_nano) for each in view.budgets] == [(budget, 5 * CENT)]
    assert reader.spent() == {budget: 65 * CENT}
