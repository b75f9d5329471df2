"""Budgets and their revisions. A revision is appended, never changed; of a budget the highest one holds."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select

from metering.domain.budgets import Action, Basis, BudgetTerms
from metering.domain.periods import Window
from metering.storage.tables import budget_revisions, budgets


class BudgetRow(NamedTuple):
    """A budget as one revision of it says; ``revision_id`` tells the order of all revisions."""

    id: int
    account_id: int
    created_at: int
    revision_id: int
    revision: int
    archived: bool
    terms: BudgetTerms
    recorded_by: str
    recorded_at: int


def insert_budget(connection: Connection, account_id: int, *, now: int) -> int:
    """Append a budget, which says nothing yet; return its id."""
    statement = insert(budgets).values(account_id=account_id, created_at=now).returning(budgets.c.id)
    budget_id: int = connection.execute(statement).scalar_one()
    return budget_id


def insert_revision(
    connection: Connection, budget_id: int, revision: int, terms: BudgetTerms, *, archived: bool, by: str, now: int
) -> None:
    """Append a revision. The caller is alone: the order of the ids is the order of the commits."""
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
    """Return the id of the revision that was recorded last; 0 for none."""
    newest: int = connection.execute(select(func.coalesce(func.max(budget_revisions.c.id), 0))).scalar_one()
    return newest


def revisions_after(connection: Connection, revision_id: int) -> Iterable[BudgetRow]:
    """Return what was said of all budgets after a revision, in order."""
    statement = _revisions().where(budget_revisions.c.id > revision_id).order_by(budget_revisions.c.id)
    return (_row(row) for row in connection.execute(statement))


def revisions_of(connection: Connection, budget_id: int) -> list[BudgetRow]:
    """Return what was said of one budget, oldest first; nothing where there is none."""
    statement = _revisions().where(budgets.c.id == budget_id).order_by(budget_revisions.c.revision)
    return [_row(row) for row in connection.execute(statement)]


def current_budgets(
    connection: Connection, *, account_id: int | None = None, after: int = 0, limit: int | None = None
) -> list[BudgetRow]:
    """Return the budgets with ids above ``after`` that are not archived, of one account or of all, by id."""
    statement = _revisions().where(*_current(), budgets.c.id > after).order_by(budgets.c.id).limit(limit)
    if account_id is not None:
        statement = statement.where(budgets.c.account_id == account_id)
    return [_row(row) for row in connection.execute(statement)]


def count_budgets(connection: Connection, account_id: int) -> int:
    """Return how many budgets an account has that are not archived."""
    joined = budgets.join(budget_revisions, budget_revisions.c.budget_id == budgets.c.id)
    statement = select(func.count()).select_from(joined).where(*_current(), budgets.c.account_id == account_id)
    return connection.execute(statement).scalar_one()


def _current() -> tuple[ColumnElement[bool], ...]:
    """Return what the revision fulfils that holds, of a budget that is not archived."""
    other = budget_revisions.alias()
    newest = select(func.max(other.c.revision)).where(other.c.budget_id == budgets.c.id).scalar_subquery()
    return budget_revisions.c.revision == newest, budget_revisions.c.archived == 0


def _revisions() -> Select[Any]:
    said = [column for column in budget_revisions.c if column.name not in ("id", "budget_id")]
    columns = [budgets.c.id, budgets.c.account_id, budgets.c.created_at, budget_revisions.c.id.label("revision_id"), *said]
    return select(*columns).join_from(budgets, budget_revisions, budget_revisions.c.budget_id == budgets.c.id)


def _row(row: Row[Any]) -> BudgetRow:
    terms = BudgetTerms(
        name=row.name,
        scope={name: tuple(values) for name, values in json.loads(row.scope).items()},
        window=Window(row.window),
        first_day=row.first_day,
        end_day=row.end_day,
        amount_nano=row.amount_nano,
        thresholds=tuple(json.loads(row.thresholds)),
        forecast_percent=row.forecast_percent,
        action=Action(row.action),
        block_percent=row.block_percent,
        basis=Basis(row.basis),
    )
    return BudgetRow(
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
