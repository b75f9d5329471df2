"""Create, show, change and delete budgets. Every change is appended as a revision with its author and time.

A new or changed budget is evaluated in the transaction that records it: alerts for what its current period has already reached
are raised at once, unless they were raised before. A change of the amount raises them again, for the new amount.

``owner`` is the account that the caller is bound to, None: the operator. For a bound caller, budgets of other accounts do not
exist.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import Account
from metering.domain.budgets.budget_state import BudgetDetails
from metering.domain.budgets.budgets import THRESHOLD_REACHED, Budget, BudgetTerms, amount_number, apply_changes, due_triggers
from metering.domain.budgets.periods import Period
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import date_of
from metering.operations.budgets.account_spend import AccountSpend, SeriesValues
from metering.operations.budgets.budget_alerts import BudgetSubject, forecast_alert, subject_of, trigger_alert
from metering.operations.budgets.budget_states import spend_in, state_of
from metering.operations.steps.find_account import find_account
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import thresholds_raised
from metering.storage.budgets.budgets import (
    amount_changes,
    count_budgets,
    current_budgets,
    insert_budget,
    insert_revision,
    revisions_of,
)
from metering.storage.engine.database import exclusive_write, read_snapshot
from pricing.plans import PlanCatalog

MAX_BUDGETS = 10_000


class Author(Struct, frozen=True):
    """Who changes a budget, and when."""

    by: str
    now: int


def create_budget(engine: Engine, account: str, terms: BudgetTerms, author: Author, catalog: PlanCatalog) -> BudgetDetails:
    """Create a budget and evaluate its current period.

    Raises NotFoundError for the account, and DomainError if it already has MAX_BUDGETS budgets.
    """
    with exclusive_write(engine) as connection:
        owner = find_account(connection, account)
        if count_budgets(connection, owner.id) >= MAX_BUDGETS:
            raise DomainError(f"{account!r} has {MAX_BUDGETS:,} budgets, which is the limit; delete some first")
        budget_id = insert_budget(connection, owner.id, now=author.now)
        return _record(connection, budget_id, 1, terms, author, catalog)


def change_budget(
    engine: Engine,
    budget_id: int,
    changes: Mapping[str, Any],
    author: Author,
    catalog: PlanCatalog,
    *,
    owner: int | None = None,
) -> BudgetDetails:
    """Change fields of a budget's terms, by name, and evaluate its current period. Alerts that were raised remain.

    A new amount is alerted on like that of a new budget.

    Changes that change nothing record no revision. Raises NotFoundError and BudgetError.
    """
    with exclusive_write(engine) as connection:
        before = _current(connection, budget_id, owner)
        terms = apply_changes(before.terms, changes)
        if terms == before.terms:
            return _details(connection, [before], author.now, catalog)[0]
        return _record(connection, budget_id, before.revision + 1, terms, author, catalog)


def delete_budget(engine: Engine, budget_id: int, author: Author, *, owner: int | None = None) -> None:
    """End a budget: it is no longer evaluated or listed; its revisions remain. Raises NotFoundError."""
    with exclusive_write(engine) as connection:
        before = _current(connection, budget_id, owner)
        insert_revision(connection, budget_id, before.revision + 1, before.terms, archived=True, by=author.by, now=author.now)


def show_budget(
    engine: Engine,
    budget_id: int,
    catalog: PlanCatalog,
    *,
    now: int,
    day: int | None = None,
    owner: int | None = None,
) -> tuple[BudgetDetails, list[Budget]]:
    """Return a budget with its state in the period that contains ``day`` (None: the current one), and its revisions.

    Raises NotFoundError, also for a day outside of the budget's fixed window.
    """
    with read_snapshot(engine) as connection:
        budget = _current(connection, budget_id, owner)
        period = None if day is None else budget.terms.period_of(day)
        if day is not None and period is None:
            window = budget.terms.current_period(now).name
            raise NotFoundError(f"budget {budget_id} has no period that contains {date_of(day)}; its window is {window}")
        return _details(connection, [budget], now, catalog, period)[0], revisions_of(connection, budget_id)


def list_budgets(
    engine: Engine,
    catalog: PlanCatalog,
    *,
    now: int,
    account: str | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[BudgetDetails]:
    """Return budgets with ids above ``after`` and their current state, of one account or of all. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        account_id = None if account is None else find_account(connection, account).id
        budgets = current_budgets(connection, account_id=account_id, after=after, limit=limit)
        return _details(connection, budgets, now, catalog)


def _record(
    connection: Connection, budget_id: int, revision: int, terms: BudgetTerms, author: Author, catalog: PlanCatalog
) -> BudgetDetails:
    insert_revision(connection, budget_id, revision, terms, archived=False, by=author.by, now=author.now)
    budget = _current(connection, budget_id, None)
    account = account_with_id(connection, budget.account_id)
    changed = amount_changes(connection, [budget_id])
    about = BudgetSubject(budget, "" if account is None else account.name, changed.get(budget_id, ()))
    spend = AccountSpend(connection, budget.account_id, SeriesValues(), catalog)
    period = terms.current_period(author.now)
    counted = spend_in(terms, period, spend)
    for trigger in due_triggers(terms, counted.amount_nano, ()):
        raise_alert(connection, trigger_alert(about, period, trigger, counted, author.now), now=author.now)
    (details,) = _details(connection, [budget], author.now, catalog)
    if details.state.is_current and details.state.forecast_exceeded:
        raise_alert(connection, forecast_alert(about, details.state, author.now), now=author.now)
    return details


def _current(connection: Connection, budget_id: int, owner: int | None) -> Budget:
    revisions = revisions_of(connection, budget_id)
    if not revisions or revisions[-1].archived or owner not in (None, revisions[-1].account_id):
        raise NotFoundError(f"there is no budget {budget_id}; `metering budgets list` shows all")
    return revisions[-1]


def _details(
    connection: Connection, budgets: Iterable[Budget], now: int, catalog: PlanCatalog, period: Period | None = None
) -> list[BudgetDetails]:
    values = SeriesValues()
    spends: dict[int, AccountSpend] = {}
    accounts: dict[int, Account | None] = {}
    listed = list(budgets)
    changed = amount_changes(connection, [budget.id for budget in listed if budget.revision > 1])
    details = []
    for budget in listed:
        if budget.account_id not in spends:
            spends[budget.account_id] = AccountSpend(connection, budget.account_id, values, catalog)
            accounts[budget.account_id] = account_with_id(connection, budget.account_id)
        shown = period or budget.terms.current_period(now)
        number = amount_number(changed.get(budget.id, ()), shown)
        fired = thresholds_raised(connection, THRESHOLD_REACHED, subject_of(budget.id), shown.name, number)
        state = state_of(budget.terms, spends[budget.account_id], now, period=shown, fired=fired)
        account = accounts[budget.account_id]
        details.append(BudgetDetails(budget, "" if account is None else account.name, state))
    return details
