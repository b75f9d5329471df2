"""``/v1/credits``: what credit an account has, was given, and spent elsewhere."""

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.api.fields import (
    SIGNED_USD_PATTERN,
    USD_PATTERN,
    AccountParameter,
    Answer,
    MonthParameter,
    RequestModel,
    instant_field,
    nano_usd,
    usd,
)
from metering.api.openapi import problems
from metering.domain.credits.credits import CreditGrant, MonthCredits
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.credits.grant_credits import grant_credits, record_used_elsewhere, show_credits
from metering.operations.service.open_service import Service
from metering.web import query
from metering.web.bodies import require_json
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.dollars import format_nano
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/credits", tags=["credits"])

_BODY_PROBLEMS = ("not_found", "account_required", "unsupported_media_type", "body_too_large", "not_json")


class Grant(Answer):
    """Credits that were given or bought."""

    reference: str = Field(description="Names the grant; the same again is the same grant.", examples=["invoice-2026-117"])
    kind: Literal["included", "purchased", "promotional", "manual"] = Field(
        description="`included` in the plan, `purchased`, `promotional`, or given by `manual` decision.", examples=["purchased"]
    )
    scope: Literal["inference", "any_compute"] = Field(
        description="What it pays for; what can be spent on other compute too is an upper bound.", examples=["inference"]
    )
    amount_nano_usd: int = nano_usd("What was given", 25_000_000_000)
    amount_usd: str = usd("What was given", "25.000000000")
    voided_nano_usd: int = nano_usd("What was taken back of it", 0)
    voided_usd: str = usd("What was taken back of it", "0.000000000")
    granted_at: str = instant_field("From when on it can be used")
    expires_at: str | None = instant_field("When it ends, exclusively; null: never", None)


class Applied(Answer):
    """What one grant paid of a month's usage."""

    grant: Grant = Field(
        description="The grant.",
        examples=[
            {
                "reference": "",
                "kind": "included",
                "scope": "any_compute",
                "amount_nano_usd": 2_000_000_000,
                "amount_usd": "2.000000000",
                "voided_nano_usd": 0,
                "voided_usd": "0.000000000",
                "granted_at": "2026-11-01T00:00:00.000000Z",
                "expires_at": "2026-12-01T00:00:00.000000Z",
            }
        ],
    )
    amount_nano_usd: int = nano_usd("What it paid", 1_250_000_000)
    amount_usd: str = usd("What it paid", "1.250000000")
    left_nano_usd: int = nano_usd("What it has left", 750_000_000)
    left_usd: str = usd("What it has left", "0.750000000")


class MonthOfCredits(Answer):
    """What credits paid in a month, and what is left."""

    applied: list[Applied] = Field(description="Who paid, in the order of burning.", examples=[[]])
    applied_nano_usd: int = nano_usd("All that credits paid", 1_250_000_000)
    applied_usd: str = usd("All that credits paid", "1.250000000")
    included_left_nano_usd: int = nano_usd("What is left of the included credit", 750_000_000)
    included_left_usd: str = usd("What is left of the included credit", "0.750000000")
    purchased_left_nano_usd: int = nano_usd("What the other grants carry into the next month", 0)
    purchased_left_usd: str = usd("What the other grants carry into the next month", "0.000000000")
    uncovered_nano_usd: int = nano_usd("Usage that no credit paid", 0)
    uncovered_usd: str = usd("Usage that no credit paid", "0.000000000")


class Credits(MonthOfCredits):
    """An account's credits in a month.

    The parts add up: `included` is `used_elsewhere_of_included`, what it `applied`, and `included_left`; `carried_in` and
    `granted` are `voided`, what the other grants `applied`, `expiring`, and `purchased_left`.
    """

    account: str = Field(description="The account.", examples=["acme"])
    month: str = Field(description="The month.", examples=["2026-11"])
    plan: str = Field(description="The plan at the end of the month.", examples=["pro"])
    included_nano_usd: int | None = nano_usd("The plan's included credit; null where it is not known", 2_000_000_000)
    included_usd: str | None = usd("The plan's included credit; null where it is not known", "2.000000000")
    used_elsewhere_nano_usd: int = nano_usd("What of it was spent on other Hugging Face compute, as far as told", 0)
    used_elsewhere_usd: str = usd("What of it was spent on other Hugging Face compute, as far as told", "0.000000000")
    used_elsewhere_of_included_nano_usd: int = nano_usd("What of that the included credit paid: never more than there is", 0)
    used_elsewhere_of_included_usd: str = usd("What of that the included credit paid: never more than there is", "0.000000000")
    included_left_is_upper_bound: bool = Field(
        description="Whether the included credit can also be spent on other compute, so that less may be left.", examples=[True]
    )
    carried_in_nano_usd: int = nano_usd("What the other grants brought from earlier months", 0)
    carried_in_usd: str = usd("What the other grants brought from earlier months", "0.000000000")
    granted_nano_usd: int = nano_usd("What was granted in the month besides", 0)
    granted_usd: str = usd("What was granted in the month besides", "0.000000000")
    voided_nano_usd: int = nano_usd("What was taken back of these grants, in the month or since", 0)
    voided_usd: str = usd("What was taken back of these grants, in the month or since", "0.000000000")
    expiring_nano_usd: int = nano_usd("What of these grants nobody used and ends with the month or within it", 0)
    expiring_usd: str = usd("What of these grants nobody used and ends with the month or within it", "0.000000000")
    purchased_left_is_upper_bound: bool = Field(
        description="Whether some of what these grants have left can also be spent on other compute, so that less may be left.",
        examples=[False],
    )
    grants: list[Grant] = Field(description="All grants of the account, oldest first.", examples=[[]])


class NewGrant(RequestModel):
    """Credits to give or sell."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account; a bound key may leave it out.", examples=["acme"]
    )
    amount_usd: str = Field(pattern=USD_PATTERN, description="How much, in dollars, at most nine decimals.", examples=["25.00"])
    kind: Literal["purchased", "promotional", "manual"] = Field(
        "purchased", description="Whether it was bought or given.", examples=["purchased"]
    )
    scope: Literal["inference", "any_compute"] = Field(
        "inference", description="Whether it pays for inference alone or for other compute too.", examples=["inference"]
    )
    reference: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="Names the purchase, so that sending it again grants nothing twice. Left out: one is made up.",
        examples=["invoice-2026-117"],
    )
    granted_at: str | None = Field(
        None, max_length=40, description="From when on it can be used. Left out: now.", examples=["2026-11-03T10:15:00Z"]
    )
    expires_at: str | None = Field(
        None, max_length=40, description="When it ends, exclusively. Left out: never.", examples=["2027-11-01"]
    )


class UsedElsewhere(RequestModel):
    """Included credit that was spent on other Hugging Face compute (Endpoints, Spaces, Jobs)."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account; a bound key may leave it out.", examples=["acme"]
    )
    month: str = Field(max_length=10, description="The UTC month whose credit it was.", examples=["2026-11"])
    amount_usd: str = Field(
        pattern=SIGNED_USD_PATTERN,
        description="How much more than was told before, in dollars; a negative amount takes an earlier one back.",
        examples=["0.75"],
    )
    reason: str = Field("", max_length=MAX_NAME_LENGTH, description="Why, for whoever reads it later.", examples=["Spaces"])


@router.get(
    "", operation_id="show_credits", summary="Show credits", responses=problems("not_found", "account_required", "invalid_time")
)
def get_credits(
    principal: Reader, service: ServiceNow, account: AccountParameter = None, month: MonthParameter = None
) -> Credits:
    """Show what credits paid of an account's usage in a month, in the order of burning, and what is left."""
    name = principal.find_account(service, account).name
    return _credits(service, name, query.month("query.month", month, service.clock()))


@router.post(
    "",
    operation_id="grant_credits",
    summary="Grant credits",
    responses=problems(*_BODY_PROBLEMS, "already_exists", "invalid_time"),
    dependencies=[Depends(require_json)],
)
def post_credits(principal: Admin, service: ServiceNow, body: NewGrant) -> Grant:
    """Give or sell credits. The same `reference` with the same amount is answered with the first grant, another amount is
    refused.
    """
    name = principal.find_account(service, body.account).name
    granted_at = service.clock() if body.granted_at is None else query.instant("body.granted_at", body.granted_at)
    expires_at = None if body.expires_at is None else query.instant("body.expires_at", body.expires_at)
    amount = parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    wanted = CreditGrant(0, body.kind, amount, granted_at, expires_at, body.reference, body.scope)
    return grant_answer(grant_credits(service.engine, name, wanted, now=service.clock()))


@router.post(
    "/used-elsewhere",
    operation_id="note_used_elsewhere",
    summary="Say what included credit was spent elsewhere",
    responses=problems(*_BODY_PROBLEMS, "invalid_time"),
    dependencies=[Depends(require_json)],
)
def post_used_elsewhere(principal: Admin, service: ServiceNow, body: UsedElsewhere) -> Credits:
    """Say that some of a month's included credit was spent on other compute; answers the credits as they are then."""
    name = principal.find_account(service, body.account).name
    now = service.clock()
    month = query.month("body.month", body.month, now)
    amount = parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    record_used_elsewhere(service.engine, name, month, amount, reason=body.reason, now=now)
    return _credits(service, name, month)


def month_fields(burned: MonthCredits) -> dict[str, object]:
    """Return the fields of MonthOfCredits."""
    amounts = {
        "applied": burned.applied_nano,
        "included_left": burned.included_left_nano,
        "purchased_left": burned.purchased_left_nano,
        "uncovered": burned.uncovered_nano,
    }
    fields: dict[str, object] = {
        "applied": [
            Applied(
                grant=grant_answer(item.grant),
                amount_nano_usd=item.amount_nano,
                amount_usd=format_nano(item.amount_nano),
                left_nano_usd=item.left_nano,
                left_usd=format_nano(item.left_nano),
            )
            for item in burned.applied
        ]
    }
    for name, amount in amounts.items():
        fields |= {f"{name}_nano_usd": amount, f"{name}_usd": format_nano(amount)}
    return fields


def _credits(service: Service, name: str, month: int) -> Credits:
    balance = show_credits(service.engine, name, month, service.catalogue)
    included, lasting = balance.included, balance.lasting
    amounts = {
        "included": included.included_nano,
        "used_elsewhere": balance.used_elsewhere_nano,
        "used_elsewhere_of_included": included.elsewhere_nano,
        "carried_in": lasting.carried_in_nano,
        "granted": lasting.granted_nano,
        "voided": lasting.voided_nano,
        "expiring": lasting.expiring_nano,
    }
    return Credits.model_validate(
        {
            "account": balance.account,
            "month": format_month(month),
            "plan": balance.plan.plan,
            **{f"{name}_nano_usd": amount for name, amount in amounts.items()},
            **{f"{name}_usd": None if amount is None else format_nano(amount) for name, amount in amounts.items()},
            "included_left_is_upper_bound": included.is_upper_bound,
            "purchased_left_is_upper_bound": lasting.is_upper_bound,
            "grants": [grant_answer(grant) for grant in balance.grants],
            **month_fields(balance.month),
        }
    )


def grant_answer(grant: CreditGrant) -> Grant:
    """Return a grant as it is answered."""
    return Grant.model_validate(
        {
            "reference": grant.reference,
            "kind": grant.kind,
            "scope": grant.scope,
            "voided_nano_usd": grant.voided_nano,
            "voided_usd": format_nano(grant.voided_nano),
            "amount_nano_usd": grant.amount_nano,
            "amount_usd": format_nano(grant.amount_nano),
            "granted_at": format_instant(grant.granted_at),
            "expires_at": None if grant.expires_at is None else format_instant(grant.expires_at),
        }
    )
