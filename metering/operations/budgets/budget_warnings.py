"""What may be wrong with a budget that was created or changed: allowed, but pointed out."""

from msgspec.structs import replace
from sqlalchemy import Engine

from metering.domain.budgets.budgets import Budget
from metering.operations.budgets.check_scope import check_scope
from metering.storage.budgets.budgets import current_budgets
from metering.storage.engine.database import read_snapshot

_SHOWN_IDS = 5


def budget_warnings(engine: Engine, budget: Budget, declared_tags: frozenset[str]) -> list[str]:
    """Return a warning for each part of the scope that may be a typing error, and one if another budget is the same."""
    return [*check_scope(engine, budget.terms.scope, declared_tags), *_same_budgets(engine, budget)]


def _same_budgets(engine: Engine, budget: Budget) -> list[str]:
    """Return a warning if the account has other budgets with the same terms, whatever their names."""
    terms = replace(budget.terms, name="")
    with read_snapshot(engine) as connection:
        listed = current_budgets(connection, account_id=budget.account_id)
    same = [each.id for each in listed if each.id != budget.id and replace(each.terms, name="") == terms]
    if not same:
        return []
    ids = ", ".join(map(str, same[:_SHOWN_IDS])) + (", ..." if len(same) > _SHOWN_IDS else "")
    one = len(same) == 1
    return [
        f"{'budget' if one else 'budgets'} {ids} {'has' if one else 'have'} the same terms, so every alert is raised"
        f" {'twice' if one else f'{len(same) + 1} times'}; delete one with `metering budgets delete {budget.id}`"
    ]
