"""A statement as JSON values."""

from typing import Any

from metering.cli.amounts import exact_money, money
from metering.domain.instants import format_month
from metering.domain.statements import Flag, OutsideUsage, Statement, StatementLine, unit_of
from pricing.money import NANO_PER_CENT, format_pico
from pricing.quantities import ALL_KINDS


def statement_json(statement: Statement) -> dict[str, Any]:
    """Return the whole statement; lines are exact to the pico-dollar, which nano-dollars can not hold."""
    return {
        **statement_summary(statement),
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
        "plan": statement.plan.plan,
        "seats": statement.plan.seats,
        **money("usage", statement.usage_nano),
        **money("credits", statement.credits.applied_nano),
        **money("usage_payable", statement.usage_payable_nano),
        **money("subscription", statement.subscription_cents * NANO_PER_CENT),
        **exact_money("residual", statement.residual_pico),
        **money("total", statement.total_cents * NANO_PER_CENT),
        **money("owed_to_partners_total", statement.owed_to_partners_nano),
        "events": statement.events,
        "failed_events": statement.failed_events,
        "flags": [str(flag) for flag in Flag if flag in statement.flags],
    }


def _line(line: StatementLine) -> dict[str, Any]:
    return {
        "kind": str(line.kind),
        "description": line.description,
        "route": line.route or None,
        "provider": line.provider or None,
        "model": line.model or None,
        "quantity_kind": line.quantity_kind or None,
        "quantity": line.quantity,
        "unit": unit_of(line.quantity_kind) if line.quantity_kind else None,
        "price_usd": None if line.price_pico is None else format_pico(line.price_pico),
        "price_per": None if line.price_pico is None else line.price_block,
        "price_assumed": line.price_assumed,
        **exact_money("amount", line.amount_pico),
        "rate_id": None if line.rate is None else line.rate.id,
        "price_source": None if line.rate is None else line.rate.source,
    }


def _outside(usage: OutsideUsage) -> dict[str, Any]:
    return {
        "route": usage.route,
        "provider": usage.provider,
        "model": usage.model,
        "events": usage.events,
        "quantities": {kind: count for kind, count in zip(ALL_KINDS, usage.quantities, strict=True) if count},
        **money("amount", usage.amount_nano),
    }
