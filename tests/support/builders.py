"""Builders for tests: plain functions that return valid values, with overrides.

Prices are round, so that expected amounts are easy to compute: an input token of ``llama`` at together costs 1,000
nano-USD, an output token 2,000; by any route from 2020 on.
"""

from collections.abc import Iterable
from datetime import date
from itertools import count
from typing import Any

from msgspec.structs import replace

from metering.domain.accounts.plan_history import PlanChange, plan_month
from metering.domain.credits.credits import MonthUsage, burn_credits
from metering.domain.instants import day_number, first_date, parse_instant
from metering.domain.statements.month_detail import DailyUsage, MonthDetail
from metering.domain.statements.statements import UsageSums, draft_statement
from metering.domain.usage.batches import Batch, BatchBuilder
from metering.domain.usage.events import (
    DecodedBlock,
    DecodedEvent,
    Position,
    PriceGrade,
    QuantityGrade,
    RejectedRecord,
    UsageEvent,
)
from metering.domain.usage.identity import fingerprint_of
from pricing.bundled import bundled_plans
from pricing.quantities import ALL_KINDS, Quantities
from pricing.rates import Price, Rate
from pricing.tables import Layer, PriceTable, TableKind

NOW = parse_instant("2026-11-23T10:00:00Z")
NOON = parse_instant("2026-11-03T12:00:00Z")
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
FROM_2020 = parse_instant("2020-01-01T00:00:00Z")

INPUT_NANO = 1_000
OUTPUT_NANO = 2_000

_ids = count(1)


def instant(text: str) -> int:
    """Return an ISO time as microseconds."""
    return parse_instant(text)


def usage_event(**overrides: Any) -> UsageEvent:
    """Return an answered chat request with a new ID: 100 tokens in, 10 out, 120,000 nano-USD at ``llama``'s price."""
    fields: dict[str, Any] = {
        "id": f"req-{next(_ids)}",
        "source": "gateway",
        "time": NOON,
        "account": "acme",
        "provider": "together",
        "model": "llama",
        "operation": "chat",
        "route": "routed",
        "status": 200,
        "quantities": Quantities(input_tokens=100, output_tokens=10),
    }
    return UsageEvent(**fields | overrides)


def batch_of(
    *events: UsageEvent, declared_tags: Iterable[str] = (), rejected: Iterable[RejectedRecord] = (), first_line: int = 1
) -> Batch:
    """Return the events as a batch, as if each were on its own line of 100 bytes."""
    decoded = [
        DecodedEvent(event, fingerprint_of(event), Position(line, 100 * (line - 1), 100))
        for line, event in enumerate(events, first_line)
    ]
    return BatchBuilder(frozenset(declared_tags)).batch_of(DecodedBlock(decoded, list(rejected), {}))


def rejected_record(**overrides: Any) -> RejectedRecord:
    """Return a record that was rejected for a missing model."""
    fields: dict[str, Any] = {
        "position": Position(1, 0, 20),
        "digest": "d1",
        "code": "missing_model",
        "reason": "no model",
        "kept": {"id": "x"},
    }
    return RejectedRecord(**fields | overrides)


def rate(input_pico: int = INPUT_NANO * 1000, output_pico: int = OUTPUT_NANO * 1000, **overrides: Any) -> Rate:
    """Return the rate of ``llama`` at together; prices in pico-USD per token."""
    fields: dict[str, Any] = {
        "provider": "together",
        "model": "llama",
        "prices": {"input_tokens": Price(input_pico), "output_tokens": Price(output_pico)},
    }
    return Rate(**fields | overrides)


def price_table(*rates: Rate, **overrides: Any) -> PriceTable:
    """Return an operator's price table that is in effect from 2020 on."""
    fields: dict[str, Any] = {"source": "sheet", "layer": Layer.OPERATOR, "kind": TableKind.PATCH, "effective_from": FROM_2020}
    return PriceTable(rates=rates, **fields | overrides)


def day_usage(day: str = "2026-11-03", amount_nano: int = 0, **overrides: Any) -> DailyUsage:
    """Return a day of usage of ``llama`` at together, priced by rate 1; quantities are given by name."""
    quantities = tuple(overrides.pop(kind, 0) for kind in ALL_KINDS)
    fields: dict[str, Any] = {
        "day": day_number(date.fromisoformat(day)),
        "route": "routed",
        "provider": "together",
        "model": "llama",
        "operation": "chat",
        "project": "",
        "key": "",
        "tags": "",
        "rate_id": 1,
        "price_grade": PriceGrade.RATED,
        "quantity_grade": QuantityGrade.MEASURED,
        "billable": 1,
        "events": 1,
        "quantities": quantities,
        "amount_nano": amount_nano,
    }
    return DailyUsage(**fields | overrides)


def month_detail(
    *days: DailyUsage, plan: str = "pro", rates: Iterable[Rate] = (), month: int = 202611, **overrides: Any
) -> MonthDetail:
    """Return a draft statement of ``acme`` with its days; overrides replace fields of the statement."""
    known = {each.id: each for each in rates or (rate(id=1, table_id=7, source="a test"),)}
    sums = [
        UsageSums(
            route=each.route,
            provider=each.provider,
            model=each.model,
            operation=each.operation,
            rate_id=each.rate_id,
            price_grade=each.price_grade,
            quantity_grade=each.quantity_grade,
            billable=bool(each.billable),
            events=each.events,
            quantities=each.quantities,
            amount_nano=each.amount_nano,
        )
        for each in days
    ]
    changes = [PlanChange(first_date(month), plan)] if plan else []
    of_month = plan_month(changes, month, bundled_plans())
    billable = sum(each.amount_nano for each in days if each.billable)
    (burned,) = burn_credits([MonthUsage(month, billable, of_month.included_credit_nano or 0)], [])
    statement = draft_statement("acme", of_month, sums, burned, known)
    return MonthDetail(replace(statement, **overrides), days, known)


CLOSED: dict[str, Any] = {"status": "closed", "closed_at": instant("2026-12-04T00:00:00Z"), "digest": "0123456789abcdef" * 4}
"""The fields that differ in a closed statement."""
