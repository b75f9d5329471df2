"""Make, show, change and end budgets. What is said is appended as a revision, with who said it and when.

A budget that is new or changed is judged at once, in the transaction that records it: what its present period has reached is
told, unless it was told before.
"""

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import Account
from metering.domain.budgets.budget_state import BudgetDetails
from metering.domain.budgets.budgets import THRESHOLD_REACHED, Budget, BudgetTerms, due_triggers
from metering.domain.budgets.periods import Period
from metering.domain.errors import DomainError, NotFoundError
from metering.operations.budgets.account_spend import AccountSpend, SeriesValues
from metering.operations.budgets.budget_alerts import forecast_alert, reached_alert, subject_of
from metering.operations.budgets.budget_states import spent_in, state_of
from metering.operations.steps.find_account import find_account
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import thresholds_raised
from metering.storage.budgets.budgets import count_budgets, current_budgets, insert_budget, insert_revision, revisions_of
from metering.storage.engine.database import exclusive_write, read_snapshot
from pricing.plans import PlanCatalogue

MAX_BUDGETS = 10_000


class Author(Struct, frozen=True):
    """Who says something of a budget, and when."""

    by: str
    now: int


def create_budget(engine: Engine, account: str, terms: BudgetTerms, said: Author, catalogue: PlanCatalogue) -> BudgetDetails:
    """Make a budget and judge its present period. Raises NotFoundError, and DomainError past MAX_BUDGETS of an account."""
    with exclusive_write(engine) as connection:
        owner = find_account(connection, account)
        if count_budgets(connection, owner.id) >= MAX_BUDGETS:
            raise DomainError(f"{account!r} has {MAX_BUDGETS} budgets, and no account can have more; delete some first")
        budget_id = insert_budget(connection, owner.id, now=said.now)
        return _record(connection, budget_id, 1, terms, said, catalogue)


def change_budget(engine: Engine, budget_id: int, terms: BudgetTerms, said: Author, catalogue: PlanCatalogue) -> BudgetDetails:
    """Say anew what a budget says, and judge its present period: what fired stays fired. Raises NotFoundError."""
    with exclusive_write(engine) as connection:
        before = _current(connection, budget_id)
        if terms == before.terms:
            return _view(connection, before, said.now, catalogue)
        return _record(connection, budget_id, before.revision + 1, terms, said, catalogue)


def delete_budget(engine: Engine, budget_id: int, said: Author) -> None:
    """End a budget: it is judged and listed no more, and everything that was said of it stays. Raises NotFoundError."""
    with exclusive_write(engine) as connection:
        before = _current(connection, budget_id)
        insert_revision(connection, budget_id, before.revision + 1, before.terms, archived=True, by=said.by, now=said.now)


def find_budget(engine: Engine, budget_id: int) -> Budget:
    """Return a budget as it is now. Raises NotFoundError, also for one that was deleted."""
    with read_snapshot(engine) as connection:
        return _current(connection, budget_id)


def show_budget(
    engine: Engine, budget_id: int, catalogue: PlanCatalogue, *, now: int, day: int | None = None
) -> tuple[BudgetDetails, list[Budget]]:
    """Return a budget as it stands, in the period of ``day`` (None: the present one), with all that was said of it.

    Raises NotFoundError, also for a day that no period of the budget holds.
    """
    with read_snapshot(engine) as connection:
        row = _current(connection, budget_id)
        period = None if day is None else row.terms.period_of(day)
        if day is not None and period is None:
            raise NotFoundError(f"budget {budget_id} has no period on that day")
        return _view(connection, row, now, catalogue, period), revisions_of(connection, budget_id)


def list_budgets(
    engine: Engine,
    catalogue: PlanCatalogue,
    *,
    now: int,
    account: str | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[BudgetDetails]:
    """Return the budgets above an id as they stand, of an account or of all. Raises NotFoundError for an unknown account."""
    with read_snapshot(engine) as connection:
        owner = None if account is None else find_account(connection, account).id
        rows = current_budgets(connection, account_id=owner, after=after, limit=limit)
        return _views(connection, rows, now, catalogue)


def _record(
    connection: Connection, budget_id: int, revision: int, terms: BudgetTerms, said: Author, catalogue: PlanCatalogue
) -> BudgetDetails:
    insert_revision(connection, budget_id, revision, terms, archived=False, by=said.by, now=said.now)
    row = _current(connection, budget_id)
    owner = account_with_id(connection, row.account_id)
    name = "" if owner is None else owner.name
    spend = AccountSpend(connection, row.account_id, SeriesValues(), catalogue)
    period = terms.current_period(said.now)
    spent = spent_in(terms, period, spend)
    for trigger in due_triggers(terms, spent.amount_nano, ()):
        raise_alert(connection, reached_alert(row, name, period, trigger, spent, said.now), now=said.now)
    view = _view(connection, row, said.now, catalogue)
    if view.state.is_present and view.state.forecast_exceeded:
        raise_alert(connection, forecast_alert(row, name, view.state, said.now), now=said.now)
    return view


def _current(connection: Connection, budget_id: int) -> Budget:
    revisions = revisions_of(connection, budget_id)
    if not revisions or revisions[-1].archived:
        raise NotFoundError(f"there is no budget {budget_id}")
    return revisions[-1]


def _view(
    connection: Connection, row: Budget, now: int, catalogue: PlanCatalogue, period: Period | None = None
) -> BudgetDetails:
    (view,) = _views(connection, [row], now, catalogue, period)
    return view


def _views(
    connection: Connection, rows: Iterable[Budget], now: int, catalogue: PlanCatalogue, period: Period | None = None
) -> list[BudgetDetails]:
    values = SeriesValues()
    spends: dict[int, AccountSpend] = {}
    owners: dict[int, Account | None] = {}
    views = []
    for row in rows:
        if row.account_id not in spends:
            spends[row.account_id] = AccountSpend(connection, row.account_id, values, catalogue)
            owners[row.account_id] = account_with_id(connection, row.account_id)
        shown = period or row.terms.current_period(now)
        fired = thresholds_raised(connection, THRESHOLD_REACHED, subject_of(row.id), shown.name)
        state = state_of(row.terms, spends[row.account_id], now, period=shown, fired=fired)
        owner = owners[row.account_id]
        views.append(BudgetDetails(row, "" if owner is None else owner.name, state))
    return views
