"""Reconciliations: runs, their variances, and the decisions on them. Append-only."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, func, insert, select

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.findings import Item, Items
from metering.domain.reconciliation.records import Decision, Reconciliation, Variance, VarianceKey
from metering.storage.engine.bulk import insert_all
from metering.storage.engine.sql import halved_sum, whole_sum
from metering.storage.tables import invoices, reconciliations, variance_decisions, variance_items, variances

_INSERT_ITEMS = insert_all(variance_items)
_CHUNK = 20_000
_INVOICES_PER_QUERY = 5_000


class NewReconciliation(NamedTuple):
    """A run to append: amounts in nano-USD, counts of requests."""

    invoice_id: int
    account_id: int
    run_at: int
    ours_nano: int
    theirs_nano: int
    requests: int
    matched_requests: int
    usage_nano: int
    matched_nano: int
    valued: int
    tolerance_nano: int
    reading: str
    statement_nano: int | None


class NewVariance(NamedTuple):
    """A variance to append to a run."""

    cause: str
    detail: str
    provider: str
    model: str
    session: str
    basis: str
    amount_nano: int
    items: int
    tolerated: int
    alternatives: tuple[str, ...]

    @property
    def key(self) -> VarianceKey:
        """What identifies it across runs."""
        return self.cause, self.detail, self.provider, self.model, self.session


class NewDecision(NamedTuple):
    """A decision to append to a variance."""

    variance_id: int
    state: str
    who: str
    reason: str
    decided_at: int
    corrected_nano: int = 0
    adjustment: str = ""


class RoundingVariance(NamedTuple):
    """A variance booked as rounding; the lines and the unit of its invoice, and the requests of its run."""

    id: int
    detail: str
    amount_nano: int
    lines: int
    unit_nano: int
    requests: int


def insert_reconciliation(connection: Connection, run: NewReconciliation) -> int:
    """Append a run; return its id."""
    statement = insert(reconciliations).values(**run._asdict()).returning(reconciliations.c.id)
    run_id: int = connection.execute(statement).scalar_one()
    return run_id


def insert_variance(connection: Connection, run_id: int, variance: NewVariance, items: Items) -> int:
    """Append a variance with its items; return its id."""
    values = variance._asdict() | {"reconciliation_id": run_id, "alternatives": json.dumps(list(variance.alternatives))}
    variance_id: int = connection.execute(insert(variances).values(**values).returning(variances.c.id)).scalar_one()
    for start in range(0, len(items), _CHUNK):
        numbered = enumerate(items.rows(start, start + _CHUNK), start)
        cells = list(chain.from_iterable((variance_id, number, *row) for number, row in numbered))
        _INSERT_ITEMS.run_flat(connection, cells)
    return variance_id


def insert_decision(connection: Connection, decision: NewDecision) -> None:
    """Append a decision, which replaces earlier ones of the same variance."""
    connection.execute(insert(variance_decisions).values(**decision._asdict()))


def reconciliation_with_id(connection: Connection, run_id: int) -> Reconciliation | None:
    """Return a run; None if no run has the id."""
    row = connection.execute(select(reconciliations).where(reconciliations.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def newest_reconciliation(connection: Connection, invoice_ids: Sequence[int]) -> Reconciliation | None:
    """Return the newest run of any of these invoices; None if none has a run."""
    statement = (
        select(reconciliations)
        .where(reconciliations.c.invoice_id.in_(invoice_ids))
        .order_by(reconciliations.c.id.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _run(row)


def newest_reconciliations(connection: Connection, invoice_ids: Sequence[int]) -> dict[int, Reconciliation]:
    """Return the newest run of each of these invoices that has one, by invoice id."""
    newest: dict[int, Reconciliation] = {}
    for start in range(0, len(invoice_ids), _INVOICES_PER_QUERY):
        run_ids = (
            select(func.max(reconciliations.c.id))
            .where(reconciliations.c.invoice_id.in_(invoice_ids[start : start + _INVOICES_PER_QUERY]))
            .group_by(reconciliations.c.invoice_id)
        )
        rows = connection.execute(select(reconciliations).where(reconciliations.c.id.in_(run_ids)))
        newest.update({row.invoice_id: _run(row) for row in rows})
    return newest


def list_reconciliations(
    connection: Connection,
    *,
    account_id: int | None = None,
    invoice_id: int | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> list[Reconciliation]:
    """Return runs with ids below ``before`` (None: all), newest first; of one account or invoice, if given."""
    statement = select(reconciliations).order_by(reconciliations.c.id.desc()).limit(limit)
    if account_id is not None:
        statement = statement.where(reconciliations.c.account_id == account_id)
    if invoice_id is not None:
        statement = statement.where(reconciliations.c.invoice_id == invoice_id)
    if before is not None:
        statement = statement.where(reconciliations.c.id < before)
    return [_run(row) for row in connection.execute(statement)]


def _with_decision() -> Select[Any]:
    newest = (
        select(func.max(variance_decisions.c.id))
        .where(variance_decisions.c.variance_id == variances.c.id)
        .correlate(variances)
        .scalar_subquery()
    )
    decided = [variance_decisions.c[name] for name in ("state", "who", "reason", "decided_at", "corrected_nano", "adjustment")]
    return select(variances, *decided).join(variance_decisions, variance_decisions.c.id == newest)


def variances_of(connection: Connection, run_id: int) -> list[Variance]:
    """Return the variances of a run with their latest decisions, in the order they were written."""
    statement = _with_decision().where(variances.c.reconciliation_id == run_id).order_by(variances.c.id)
    return [_variance(row) for row in connection.execute(statement)]


def variance_with_id(connection: Connection, variance_id: int) -> Variance | None:
    """Return a variance with its latest decision; None if no variance has the id."""
    row = connection.execute(_with_decision().where(variances.c.id == variance_id)).one_or_none()
    return None if row is None else _variance(row)


def decisions_of(connection: Connection, variance_id: int) -> list[Decision]:
    """Return all decisions on a variance, oldest first."""
    statement = select(variance_decisions).where(variance_decisions.c.variance_id == variance_id)
    return [Decision(*row) for row in connection.execute(statement.order_by(variance_decisions.c.id))]


def items_of(connection: Connection, variance_id: int, *, limit: int | None = None) -> Iterator[Item]:
    """Yield the items of a variance in the order they were found; at most ``limit``."""
    after, left = -1, limit
    while left is None or left > 0:
        size = _CHUNK if left is None else min(left, _CHUNK)
        statement = (
            select(variance_items)
            .where(variance_items.c.variance_id == variance_id, variance_items.c.number > after)
            .order_by(variance_items.c.number)
            .limit(size)
        )
        rows = connection.execute(statement).all()
        for row in rows:
            yield Item(row.event_id, row.position, row.ours_nano, row.theirs_nano, row.amount_nano)
        if len(rows) < size:
            return
        after, left = rows[-1].number, None if left is None else left - size


def _run(row: Row[Any]) -> Reconciliation:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return Reconciliation(**values | {"valued": bool(row.valued)})


def _variance(row: Row[Any]) -> Variance:
    values = dict(row._mapping)  # noqa: SLF001
    alternatives = tuple(json.loads(row.alternatives or "[]"))
    return Variance(**values | {"tolerated": bool(row.tolerated), "alternatives": alternatives})


def variance_sums_by_run(connection: Connection) -> dict[int, int]:
    """Return the sum of the variances of each run that has any, in nano-USD."""
    statement = select(variances.c.reconciliation_id, *halved_sum(variances.c.amount_nano)).group_by(
        variances.c.reconciliation_id
    )
    return {run_id: whole_sum(*amount) for run_id, *amount in connection.execute(statement)}


def rounding_variances(connection: Connection) -> Iterator[RoundingVariance]:
    """Yield the variances with the cause ``rounding``, with what bounds their amounts."""
    columns = (
        variances.c.id,
        variances.c.detail,
        variances.c.amount_nano,
        invoices.c.lines,
        invoices.c.unit_nano,
        reconciliations.c.requests,
    )
    statement = (
        select(*columns)
        .join(reconciliations, reconciliations.c.id == variances.c.reconciliation_id)
        .join(invoices, invoices.c.id == reconciliations.c.invoice_id)
        .where(variances.c.cause == Cause.ROUNDING)
        .order_by(variances.c.id)
    )
    for row in connection.execute(statement):
        yield RoundingVariance(*row)


def item_sums_by_variance(connection: Connection) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (variance id, its count of items and nano-USD, those of its items added up) where they differ."""
    high, low = halved_sum(variance_items.c.amount_nano)
    columns: list[Any] = [variance_items.c.variance_id, func.count().label("items"), high.label("high"), low.label("low")]
    counted = select(*columns).group_by(variance_items.c.variance_id).subquery()
    stated_and_counted: list[Any] = [
        *(variances.c[name] for name in ("id", "items", "amount_nano")),
        *(counted.c[name] for name in ("items", "high", "low")),
    ]
    statement = select(*stated_and_counted).join(counted, counted.c.variance_id == variances.c.id, isouter=True)
    for variance_id, stated, amount, items, high, low in connection.execute(statement.order_by(variances.c.id)):
        found = (int(items or 0), whole_sum(high or 0, low or 0))
        if found != (stated, amount):
            yield variance_id, stated, amount, *found
