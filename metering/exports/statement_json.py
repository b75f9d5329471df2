"""A statement as JSON: what the API answers, the command line prints and a file holds.

Amounts of nano-dollars are integers and the same as decimal strings. A line has twelve decimals, finer than nano-dollars, and
is a string only: as an integer of that unit an amount past 9,007 dollars would not survive JSON readers that use doubles.
"""

import json
from collections.abc import Iterator
from typing import Any

from metering.domain.accounts.plan_history import FeeLine, PlanMonth
from metering.domain.amounts import money
from metering.domain.credits.credits import CreditGrant, MonthCredits
from metering.domain.instants import format_instant, format_month
from metering.domain.statements.month_detail import MonthDetail
from metering.domain.statements.statements import OutsideUsage, Statement, StatementLine, unit_of
from pricing.dollars import format_cents, format_pico
from pricing.money import NANO_PER_CENT, PICO_PER_CENT
from pricing.quantities import ALL_KINDS

SCHEMA_VERSION = 1


def statement_file(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as a JSON document."""
    yield json.dumps(statement_json(detail.statement), ensure_ascii=False, indent=2).encode() + b"\n"


def statement_json(statement: Statement) -> dict[str, Any]:
    """Return the whole statement. A line's amount has twelve decimals, finer than nano-dollars: it is text only."""
    return {
        "schema_version": SCHEMA_VERSION,
        **statement_summary(statement),
        "plan": _plan(statement.plan),
        "credits": credits_json(statement.credits),
        "residual_usd": format_pico(statement.residual_pico),
        "failed_events": statement.failed_events,
        "lines": [_line(line) for line in statement.lines],
        "owed_to_partners": [_line(line) for line in statement.owed_to_partners],
        "unpriced": [_outside(usage) for usage in statement.unpriced],
        "route_unknown": [_outside(usage) for usage in statement.route_unknown],
    }


def statement_summary(statement: Statement) -> dict[str, Any]:
    """Return what a statement comes to, without its lines."""
    return {
        "account": statement.account,
        "month": format_month(statement.month),
        "status": statement.status,
        "closed_at": None if statement.closed_at is None else format_instant(statement.closed_at),
        "digest": statement.digest,
        "events": statement.events,
        **money("usage", statement.usage_nano),
        **money("adjustments", statement.adjustments_nano),
        **money("credits", statement.credits_nano),
        **money("usage_payable", statement.usage_payable_nano),
        "subscription_usd": format_cents(statement.subscription_cents * PICO_PER_CENT),
        **money("owed_to_partners", statement.owed_to_partners_nano),
        "carried_in_usd": format_cents(statement.carried_in_cents * PICO_PER_CENT),
        "carried_forward_usd": format_cents(statement.carried_out_cents * PICO_PER_CENT),
        "total_nano_usd": statement.total_cents * NANO_PER_CENT,
        "total_usd": format_cents(statement.total_cents * PICO_PER_CENT),
        "flags": sorted(str(flag) for flag in statement.flags),
    }


def credits_json(month: MonthCredits) -> dict[str, Any]:
    """Return what credits did in a month."""
    return {
        "applied": [
            {"grant": grant_json(item.grant), **money("amount", item.amount_nano), **money("left", item.left_nano)}
            for item in month.applied
        ],
        **money("applied", month.applied_nano),
        **money("included_left", month.included_left_nano),
        **money("purchased_left", month.purchased_left_nano),
        **money("uncovered", month.uncovered_nano),
    }


def grant_json(grant: CreditGrant) -> dict[str, Any]:
    """Return a grant."""
    return {
        "reference": grant.reference,
        "kind": grant.kind,
        "scope": grant.scope,
        **money("amount", grant.amount_nano),
        **money("voided", grant.voided_nano),
        "granted_at": format_instant(grant.granted_at),
        "expires_at": None if grant.expires_at is None else format_instant(grant.expires_at),
    }


def _plan(plan: PlanMonth) -> dict[str, Any]:
    return {
        "month": format_month(plan.month),
        "plan": plan.plan,
        "seats": plan.seats,
        "fees": [_fee(fee) for fee in plan.fees],
        **money("included_credit", plan.included_credit_nano),
        "credits_pay_elsewhere": plan.credits_pay_elsewhere,
        "invoiced": plan.invoiced,
    }


def _fee(fee: FeeLine) -> dict[str, Any]:
    return {
        "plan": fee.plan,
        "seats": fee.seats,
        "first_day": fee.first_day.isoformat(),
        "days": fee.days,
        "days_in_month": fee.days_in_month,
        "amount_usd": None if fee.amount_cents is None else format_cents(fee.amount_cents * PICO_PER_CENT),
    }


def _line(line: StatementLine) -> dict[str, Any]:
    return {
        "kind": str(line.kind),
        "description": line.description,
        "route": line.route,
        "provider": line.provider,
        "model": line.model,
        "operation": line.operation,
        "quantity_kind": line.quantity_kind,
        "quantity": line.quantity,
        "unit": unit_of(line.quantity_kind) if line.quantity_kind else "",
        "price_usd": None if line.price_pico is None else format_pico(line.price_pico),
        "price_per": None if line.price_pico is None else line.price_block,
        "price_assumed": line.price_assumed,
        "amount_usd": None if line.amount_pico is None else format_pico(line.amount_pico),
        "rate_id": None if line.rate is None else line.rate.id,
        "price_source": "" if line.rate is None else line.rate.source,
        "origin_month": None if line.origin_month is None else format_month(line.origin_month),
    }


def _outside(usage: OutsideUsage) -> dict[str, Any]:
    return {
        "route": usage.route,
        "provider": usage.provider,
        "model": usage.model,
        "events": usage.events,
        "quantities": {kind: count for kind, count in zip(ALL_KINDS, usage.quantities, strict=True) if count},
        **money("amount", usage.amount_nano),
        "origin_month": None if usage.origin_month is None else format_month(usage.origin_month),
    }
