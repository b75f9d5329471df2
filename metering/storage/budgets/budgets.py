"""Budgets and their revisions. Revisions are append-only; the highest one of a budget is in effect."""

import json
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select

from metering.domain.budgets.budgets import Action, Budget, BudgetBasis, BudgetTerms, Scope
from metering.domain.budgets.periods import Window
from metering.storage.tables import budget_revisions, budgets

_IDS_PER_STATEMENT = 500


class EvaluatedBudget(NamedTuple):
    """The columns of a budget that evaluation needs, as stored: ten thousand rows are read at once."""

    id: int
    amount_nano: int
    thresholds: str
    block_percent: int | None
    scope: str
    window: str
    first_day: int | None
    end_day: int | None
    basis: str


@lru_cache(maxsize=1024)
def parse_thresholds(text: str) -> tuple[int, ...]:
    """Parse stored thresholds."""
    return tuple(json.loads(text))


def parse_scope(text: str) -> Scope:
    """Parse a stored scope."""
    return {name: tuple(values) for name, values in json.loads(text).items()}


def insert_budget(connection: Connection, account_id: int, *, now: int) -> int:
    """Insert a budget without a revision; return its id."""
    statement = insert(budgets).values(account_id=account_id, created_at=now).returning(budgets.c.id)
    budget_id: int = connection.execute(statement).scalar_one()
    return budget_id


def insert_revision(
    connection: Connection, budget_id: int, revision: int, terms: BudgetTerms, *, archived: bool, by: str, now: int
) -> None:
    """Append a revision, in an exclusive write: ids must be in the order of commits."""
    row = {
        "budget_id": budget_id,
        "revision": revision,
        "archived": int(archived),
        "name": terms.name,
        "scope": json.dumps(terms.scope),
        "window": terms.window.value,
        "first_day": terms.first_day,
        "end_day": terms.end_day,
        "amount_nano": terms.amount_nano,
        "thresholds": json.dumps(terms.thresholds),
        "forecast_percent": terms.forecast_percent,
        "action": terms.action.value,
        "block_percent": terms.block_percent,
        "basis": terms.basis.value,
        "recorded_by": by,
        "recorded_at": now,
    }
    connection.execute(insert(budget_revisions).values(**row))


def newest_revision_id(connection: Connection) -> int:
    """Return the id of the latest revision of any budget; 0 if there is none."""
    newest: int = connection.execute(select(func.coalesce(func.max(budget_revisions.c.id), 0))).scalar_one()
    return newest


def accounts_changed_after(connection: Connection, revision_id: int) -> list[int]:
    """Return the accounts that have budget revisions after a revision."""
    joined = budgets.join(budget_revisions, budget_revisions.c.budget_id == budgets.c.id)
    statement = select(budgets.c.account_id).select_from(joined).where(budget_revisions.c.id > revision_id).distinct()
    return list(connection.execute(statement).scalars())


def accounts_with_budgets(connection: Connection) -> list[int]:
    """Return the accounts that have active budgets, in the order of their ids."""
    joined = budgets.join(budget_revisions, budget_revisions.c.budget_id == budgets.c.id)
    statement = select(budgets.c.account_id).select_from(joined).where(*_current()).distinct()
    return sorted(connection.execute(statement).scalars())


def evaluated_budgets(connection: Connection, account_id: int) -> Iterator[EvaluatedBudget]:
    """Return what evaluation needs of an account's active budgets, in the order of their ids."""
    columns = [budgets.c.id if name == "id" else budget_revisions.c[name] for name in EvaluatedBudget._fields]
    statement = (
        select(*columns)
        .join_from(budgets, budget_revisions, budget_revisions.c.budget_id == budgets.c.id)
        .where(*_current(), budgets.c.account_id == account_id)
        .order_by(budgets.c.id)
    )
    return (EvaluatedBudget(*row) for row in connection.execute(statement))


def revisions_of(connection: Connection, budget_id: int) -> list[Budget]:
    """Return all revisions of a budget, oldest first; empty if it does not exist."""
    statement = _revisions().where(budgets.c.id == budget_id).order_by(budget_revisions.c.revision)
    return [_row(row) for row in connection.execute(statement)]


def current_budgets(
    connection: Connection,
    *,
    account_id: int | None = None,
    ids: Collection[int] | None = None,
    action: Action | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[Budget]:
    """Return the active budgets with ids above ``after``, in the order of their ids; None: no filter."""
    statement = _revisions().where(*_current(), budgets.c.id > after).order_by(budgets.c.id).limit(limit)
    if account_id is not None:
        statement = statement.where(budgets.c.account_id == account_id)
    if ids is not None:
        statement = statement.where(budgets.c.id.in_(ids))
    if action is not None:
        statement = statement.where(budget_revisions.c.action == action.value)
    return [_row(row) for row in connection.execute(statement)]


def budgets_by_id(connection: Connection, ids: Collection[int]) -> dict[int, Budget]:
    """Return the active budgets with these ids, by id."""
    ordered = sorted(ids)
    parts = (ordered[start : start + _IDS_PER_STATEMENT] for start in range(0, len(ordered), _IDS_PER_STATEMENT))
    return {row.id: row for part in parts for row in current_budgets(connection, ids=part)}


def amount_changes(connection: Connection, ids: Collection[int]) -> dict[int, list[int]]:
    """Return when the amounts of budgets were changed (microseconds UTC), by id; without those that never were."""
    changes: dict[int, list[int]] = {}
    ordered = sorted(ids)
    columns = (budget_revisions.c.budget_id, budget_revisions.c.amount_nano, budget_revisions.c.recorded_at)
    for start in range(0, len(ordered), _IDS_PER_STATEMENT):
        part = ordered[start : start + _IDS_PER_STATEMENT]
        statement = select(*columns).where(budget_revisions.c.budget_id.in_(part))
        before: tuple[int, int] | None = None
        for budget_id, amount, at in connection.execute(
            statement.order_by(budget_revisions.c.budget_id, budget_revisions.c.revision)
        ):
            if before is not None and before[0] == budget_id and before[1] != amount:
                changes.setdefault(budget_id, []).append(at)
            before = budget_id, amount
    return changes


def forecast_budgets(connection: Connection, account_id: int) -> list[Budget]:
    """Return an account's active budgets that have a forecast threshold."""
    statement = _revisions().where(
        *_current(), budgets.c.account_id == account_id, budget_revisions.c.forecast_percent.is_not(None)
    )
    return [_row(row) for row in connection.execute(statement.order_by(budgets.c.id))]


def count_budgets(connection: Connection, account_id: int) -> int:
    """Return how many active budgets an account has."""
    joined = budgets.join(budget_revisions, budget_revisions.c.budget_id == budgets.c.id)
    statement = select(func.count()).select_from(joined).where(*_current(), budgets.c.account_id == account_id)
    return connection.execute(statement).scalar_one()


def _current() -> tuple[ColumnElement[bool], ...]:
    """Return SQL conditions that select the latest revision of each active budget."""
    other = budget_revisions.alias()
    newest = select(func.max(other.c.revision)).where(other.c.budget_id == budgets.c.id).scalar_subquery()
    return budget_revisions.c.revision == newest, budget_revisions.c.archived == 0


def _revisions() -> Select[Any]:
    revision = [column for column in budget_revisions.c if column.name not in ("id", "budget_id")]
    columns = [budgets.c.id, budgets.c.account_id, budgets.c.created_at, budget_revisions.c.id.label("revision_id"), *revision]
    return select(*columns).join_from(budgets, budget_revisions, budget_revisions.c.budget_id == budgets.c.id)


def _row(row: Row[Any]) -> Budget:
    terms = BudgetTerms(
        name=row.name,
        scope=parse_scope(row.scope),
        window=Window(row.window),
        first_day=row.first_day,
        end_day=row.end_day,
        amount_nano=row.amount_nano,
        thresholds=parse_thresholds(row.thresholds),
        forecast_percent=row.forecast_percent,
        action=Action(row.action),
        block_percent=row.block_percent,
        basis=BudgetBasis(row.basis),
    )
    return Budget(
        row.id,
        row.account_id,
        row.created_at,
        row.revision_id,
        row.revision,
        bool(row.archived),
        terms,
        row.recorded_by,
        row.recorded_at,
    )
