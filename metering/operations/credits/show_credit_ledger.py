"""Show an account's credit ledger, and what is left of its credits at an instant."""

from sqlalchemy import Connection, Engine

from metering.domain.accounts.plan_history import PlanChange, plan_month
from metering.domain.charges.spend import SpendQuery
from metering.domain.credits.adjustments import OF_USAGE
from metering.domain.credits.credit_balance import CreditBalance, GrantBalance
from metering.domain.credits.credit_ledger import BurnInputs, CreditMovement, EntryKind
from metering.domain.credits.credits import ANY_COMPUTE, INCLUDED, CreditGrant
from metering.domain.instants import MICROS_PER_DAY, date_of, day_of, month_of, month_start
from metering.domain.statements.account_books import AccountBooks
from metering.domain.usage.events import BILLED_ROUTES
from metering.operations.charges.sum_spend import sums_by_group
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import books_for_credits
from metering.storage.credits.credits import grants_of, ledger_of
from metering.storage.engine.database import read_snapshot
from pricing.plans import PlanCatalog


def show_ledger(engine: Engine, account: str, *, after: int = 0, limit: int | None = None) -> list[CreditMovement]:
    """Return an account's credit entries with an id above ``after``, in the order they were written. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        row = find_account(connection, account)
        entries = ledger_of(connection, row.id, grants_of(connection, row.id))
    left: dict[int, int] = {}
    rows = []
    for entry in entries:
        left[entry.grant.id] = left.get(entry.grant.id, 0) + entry.amount_nano
        rows.append(CreditMovement(entry, left[entry.grant.id]))
    listed = [row for row in rows if row.entry.id > after]
    return listed if limit is None else listed[:limit]


def credits_at(engine: Engine, account: str, instant: int, catalog: PlanCatalog) -> CreditBalance:
    """Return what was left at an instant, by when usage happened, not by when it was ingested or a month was closed.

    Raises NotFoundError.
    """
    with read_snapshot(engine) as connection:
        row = find_account(connection, account)
        books = books_for_credits(connection, row.id, catalog)
        used_nano = _used_from(connection, row.id, month_start(month_of(instant)), instant)
        used_today_nano = _used_from(connection, row.id, day_of(instant) * MICROS_PER_DAY, instant) if books.usage_by_day else 0
    month = month_of(instant)
    usage = {each: amount for each, amount in books.usage_by_origin().items() if each < month}
    usage[month] = used_nano + sum(
        each.amount_nano
        for each in books.adjustments
        if each.origin_month == month and each.recorded_at <= instant and each.adjusts == OF_USAGE
    )
    grants = _granted_by(books, instant)
    first, inputs = books.burn_inputs(month, catalog)
    plan = plan_month(_plan_changes_by(books, instant), month, catalog)
    included, today = books.included(month, plan), day_of(instant)
    daily = {day: grant for day, grant in {**inputs.daily, **books.daily(month, plan)}.items() if day <= today}
    burned = BurnInputs(
        usage=usage,
        included={**inputs.included, month: included} if included is not None else inputs.included,
        elsewhere=books.elsewhere,
        grants=grants,
        daily=daily,
        usage_by_day={**books.usage_by_day, today: used_today_nano},
    ).burn(first, month)
    used: dict[int, int] = {}
    for each in burned:
        for item in each.applied:
            if item.grant.kind != INCLUDED:
                used[item.grant.id] = used.get(item.grant.id, 0) + item.amount_nano
    found = [GrantBalance(included, burned[-1].included_left_nano)] if included is not None else []
    if today in daily:
        paid_today = sum(
            item.amount_nano for item in burned[-1].applied if item.grant.is_daily and day_of(item.grant.granted_at) == today
        )
        found.append(GrantBalance(daily[today], daily[today].amount_nano - paid_today))
    found += [
        GrantBalance(grant, grant.amount_nano - grant.voided_nano - used.get(grant.id, 0))
        for grant in grants
        if grant.expires_at is None or grant.expires_at > instant
    ]
    found = sorted((each for each in found if each.left_nano), key=lambda each: each.grant.burn_order)
    return CreditBalance(row.name, instant, found, any(each.grant.scope == ANY_COMPUTE for each in found))


def _used_from(connection: Connection, account_id: int, start: int, instant: int) -> int:
    """Return the billable usage from ``start`` to an instant, in nano-USD."""
    if start == instant:
        return 0
    filters = {"billable": ("true",), "route": tuple(sorted(BILLED_ROUTES))}
    query = SpendQuery(start, instant, account_id=account_id, filters=filters)
    return sum(sums.amount_nano for sums in sums_by_group(connection, query).values())


def _granted_by(books: AccountBooks, instant: int) -> list[CreditGrant]:
    """Return the purchased credits that were granted by an instant, with what had been voided of each."""
    voided: dict[int, int] = {}
    for entry in books.entries:
        if entry.kind is EntryKind.VOID and entry.recorded_at <= instant:
            voided[entry.grant.id] = voided.get(entry.grant.id, 0) - entry.amount_nano
    return [
        grant.with_voided(voided.get(grant.id, 0))
        for grant in books.grants
        if grant.kind != INCLUDED and grant.granted_at <= instant
    ]


def _plan_changes_by(books: AccountBooks, instant: int) -> list[PlanChange]:
    """Return the plan changes in effect at an instant."""
    today = date_of(day_of(instant))
    return [change for change in books.plan_changes if change.effective <= today]
