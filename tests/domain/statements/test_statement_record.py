"""The canonical form of a closed statement has every field, and its digest covers each of them.

The expected form is written out here: a round trip through the code under test would hide a field that both directions lack.
"""

import json
from datetime import date, timedelta
from enum import Enum
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields, replace

from metering.domain.accounts.plan_history import DailyCredit, FeeLine, PlanMonth
from metering.domain.credits.credits import ANY_COMPUTE, CreditApplied, CreditGrant, MonthCredits
from metering.domain.statements.statement_record import canonical_form, digest_of, read_record, record_of, statement_of
from metering.domain.statements.statements import ExcludedUsage, Flag, Statement, StatementLine, StatementLineKind
from pricing.possible import PossibleCost
from pricing.quantities import ALL_KINDS
from support.builders import instant, rate
from support.presence import instance

CLOSED_AT = instant("2026-12-04T00:00:00Z")
LLAMA = rate(id=17)
QUANTITIES = tuple(1_000 + place for place, _ in enumerate(ALL_KINDS))

USAGE = StatementLine(
    kind=StatementLineKind.USAGE,
    description="llama at together, cache read tokens",
    amount_pico=1_500_000_000_000,
    route="routed",
    provider="together",
    model="llama",
    operation="chat",
    rate=LLAMA,
    quantity_kind="cache_read_tokens",
    quantity=3_000_000,
    price_pico=500_000,
    price_block=7,
    price_assumed=True,
    origin_month=202610,
)
OWED = StatementLine(kind=StatementLineKind.REPORTED, description="llama at fal-ai", amount_pico=None)
UNPRICED = ExcludedUsage(
    route="routed",
    provider="novita",
    model="new",
    events=5,
    quantities=QUANTITIES,
    amount_nano=123,
    origin_month=202609,
)
UNROUTED = ExcludedUsage(route="unknown", provider="fal-ai", model="old", events=6, quantities=QUANTITIES, amount_nano=None)
GRANT = CreditGrant(
    id=0,
    kind="purchased",
    amount_nano=25_000_000_000,
    granted_at=instant("2026-11-03T10:15:00Z"),
    expires_at=instant("2027-11-01T00:00:00Z"),
    reference="inv-1",
    scope=ANY_COMPUTE,
)
STATEMENT = Statement(
    account="acme",
    month=202611,
    status="draft",
    plan=PlanMonth(
        month=202611,
        plan="team",
        seats=3,
        fees=(FeeLine("team", 3, date(2026, 11, 16), 15, 30, 450),),
        included_credit_nano=6_000_000_000,
        credits_pay_elsewhere=True,
        invoiced=True,
        daily_credits=(DailyCredit(date(2026, 11, 1), 15, 30_000_000, pays_elsewhere=True),),
    ),
    lines=(USAGE,),
    usage_nano=1_500_000_000,
    credits=MonthCredits(
        month=202611,
        applied=(CreditApplied(GRANT, amount_nano=1_000_000_000, left_nano=24_000_000_000),),
        included_left_nano=11,
        purchased_left_nano=12,
        uncovered_nano=13,
    ),
    subscription_cents=450,
    total_cents=501,
    residual_pico=-14,
    owed_to_partners=(OWED,),
    owed_to_partners_nano=15,
    unpriced=(UNPRICED,),
    route_unknown=(UNROUTED,),
    failed_events=7,
    events=8,
    flags=frozenset({Flag.UNPRICED_USAGE, Flag.BEYOND_PLAN}),
    adjustments_nano=16,
    credits_corrected_nano=-17,
    carried_in_cents=-18,
    carried_out_cents=-19,
)
CANONICAL = {
    "schema": "statement/1",
    "account": "acme",
    "month": "2026-11",
    "closed_at": "2026-12-04T00:00:00.000000Z",
    "plan": {
        "plan": "team",
        "seats": 3,
        "fees": [
            {"plan": "team", "seats": 3, "first_day": "2026-11-16", "days": 15, "days_in_month": 30, "amount_cents": 450},
        ],
        "included_credit_usd": "6.000000000000",
        "credits_pay_elsewhere": True,
        "invoiced": True,
    },
    "credits": {
        "applied": [
            {
                "kind": "purchased",
                "amount_usd": "25.000000000000",
                "granted_at": "2026-11-03T10:15:00.000000Z",
                "expires_at": "2027-11-01T00:00:00.000000Z",
                "reference": "inv-1",
                "scope": "any_compute",
                "applied_usd": "1.000000000000",
                "left_usd": "24.000000000000",
            }
        ],
        "included_left_usd": "0.000000011000",
        "purchased_left_usd": "0.000000012000",
        "uncovered_usd": "0.000000013000",
    },
    "lines": [
        {
            "kind": "usage",
            "description": "llama at together, cache read tokens",
            "amount_usd": "1.500000000000",
            "route": "routed",
            "provider": "together",
            "model": "llama",
            "operation": "chat",
            "rate_id": 17,
            "quantity_kind": "cache_read_tokens",
            "quantity": 3_000_000,
            "price_usd": "0.000000500000",
            "price_per": 7,
            "price_assumed": True,
            "origin_month": "2026-10",
        }
    ],
    "owed_to_partners": [{"kind": "reported", "description": "llama at fal-ai"}],
    "unpriced": [
        {
            "route": "routed",
            "provider": "novita",
            "model": "new",
            "events": 5,
            "quantities": dict(zip(ALL_KINDS, QUANTITIES, strict=True)),
            "amount_usd": "0.000000123000",
            "origin_month": "2026-09",
        }
    ],
    "route_unknown": [
        {
            "route": "unknown",
            "provider": "fal-ai",
            "model": "old",
            "events": 6,
            "quantities": dict(zip(ALL_KINDS, QUANTITIES, strict=True)),
        }
    ],
    "usage_usd": "1.500000000000",
    "adjustments_usd": "0.000000016000",
    "credits_corrected_usd": "-0.000000017000",
    "subscription_cents": 450,
    "carried_in_cents": -18,
    "carried_out_cents": -19,
    "total_cents": 501,
    "residual_usd": "-0.000000000014",
    "owed_to_partners_usd": "0.000000015000",
    "failed_events": 7,
    "events": 8,
    "flags": ["beyond_plan", "unpriced_usage"],
}
DAILY = {"first_day": "2026-11-01", "days": 15, "credit_usd": "0.030000000000", "pays_elsewhere": True}
WITH_DAILY = CANONICAL | {"plan": instance(dict, CANONICAL["plan"]) | {"daily_credits": [DAILY]}}
DIGEST = "93433f92508af797ab36550e534d8e911cefc46aa96ee42c7b176ed951197802"

# Not covered by the digest: what a statement gets when it is closed, and how its grants are stored.
NOT_SEALED: dict[type[Any], set[str]] = {
    Statement: {"status", "closed_at", "digest"},
    CreditGrant: {"id", "voided_nano"},
    ExcludedUsage: {"possible"},
}
# Written once, for the whole statement.
DERIVED: dict[type[Any], set[str]] = {PlanMonth: {"month"}, MonthCredits: {"month"}}


def sealed(statement):
    return canonical_form(record_of(statement, CLOSED_AT))


def variants(value, path=""):
    """Yield (path, value with the field at the path changed) for every field of a value and of the values in it."""
    if isinstance(value, msgspec.Struct):
        for name in type(value).__struct_fields__:
            if name not in NOT_SEALED.get(type(value), set()) | DERIVED.get(type(value), set()):
                for place, new in variants(getattr(value, name), f"{path}.{name}"):
                    yield place, replace(value, **{name: new})
    elif isinstance(value, tuple):
        yield path, value[1:] if isinstance(value[0], msgspec.Struct) else (value[0] + 1, *value[1:])
        if isinstance(value[0], msgspec.Struct):
            for place, new in variants(value[0], f"{path}.0"):
                yield place, (new, *value[1:])
    else:
        yield path, LLAMA if path.endswith(".rate") and value is None else changed(value, is_month=path.endswith("month"))


def changed(value, *, is_month):
    """Return another value of the same type; a number for None."""
    match value:
        case bool():
            return not value
        case int() | None:
            return 202608 if is_month else (value or 0) + 1
        case Enum():
            return next(each for each in type(value) if each is not value)
        case str():
            return f"{value}x"
        case date():
            return value + timedelta(days=1)
        case frozenset():
            return frozenset(sorted(value)[1:])
    return rate(id=18)


def values_of(value):
    """Yield a struct and every struct within it."""
    if isinstance(value, msgspec.Struct):
        yield value
        for name in type(value).__struct_fields__:
            yield from values_of(getattr(value, name))
    elif isinstance(value, tuple):
        for part in value:
            yield from values_of(part)


def test_the_canonical_form_is_this_one():
    assert json.loads(sealed(STATEMENT)) == WITH_DAILY
    assert sealed(STATEMENT) == json.dumps(WITH_DAILY, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_plan_without_daily_credits_has_the_canonical_form_from_before_there_were_any():
    statement = replace(STATEMENT, plan=replace(STATEMENT.plan, daily_credits=()))
    assert json.loads(sealed(statement)) == CANONICAL
    assert sealed(statement) == json.dumps(CANONICAL, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert digest_of(sealed(statement)) == DIGEST


def test_the_example_sets_every_field_of_every_value():
    by_type: dict[type[Any], list[Any]] = {}
    for value in values_of(STATEMENT):
        by_type.setdefault(type(value), []).append(value)
    for type_, values in by_type.items():
        for field in fields(type_):
            if field.name not in NOT_SEALED.get(type_, ()) and field.default is not msgspec.NODEFAULT:
                assert any(getattr(each, field.name) != field.default for each in values), f"{type_.__name__}.{field.name}"


@pytest.mark.parametrize("variant", [pytest.param(new, id=path) for path, new in variants(STATEMENT)])
def test_the_digest_covers_every_field(variant):
    assert digest_of(sealed(variant)) != digest_of(sealed(STATEMENT))


def test_what_usage_may_have_cost_is_never_sealed():
    guessed = replace(STATEMENT, unpriced=(replace(UNPRICED, possible=PossibleCost(5, 1, 2)),))
    assert sealed(guessed) == sealed(STATEMENT)


def test_a_closed_statement_is_read_back_as_it_was():
    content = sealed(STATEMENT)
    read = statement_of(read_record(content), {LLAMA.id: LLAMA}, DIGEST)
    assert read == replace(STATEMENT, status="closed", closed_at=CLOSED_AT, digest=DIGEST)
