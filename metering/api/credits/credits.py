"""``/v1/credits``: an account's credits in a month, granting them, and recording what was spent elsewhere."""

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.answers.credits.credits import CreditsAnswer, GrantedCreditsAnswer, credits_answer, granted_credits_answer
from metering.api.fields import (
    SIGNED_USD_PATTERN,
    USD_PATTERN,
    AccountParameter,
    MonthParameter,
    RequestModel,
)
from metering.api.openapi import problems
from metering.domain.credits.credits import CreditGrant
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.credits.grant_credits import grant_credits, record_used_elsewhere, show_credits
from metering.web import query
from metering.web.bodies import require_json
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/credits", tags=["credits"])

_BODY_PROBLEMS = ("not_found", "account_required", "unsupported_media_type", "body_too_large", "not_json")


class NewCreditGrant(RequestModel):
    """Credits to grant."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account. Optional with a key bound to an account.", examples=["acme"]
    )
    amount_usd: str = Field(
        pattern=USD_PATTERN, description="The amount in dollars, at most nine decimals.", examples=["25.00"]
    )
    kind: Literal["purchased", "promotional", "manual"] = Field(
        "purchased", description="Kind of credits.", examples=["purchased"]
    )
    scope: Literal["inference", "any_compute"] = Field(
        "inference", description="What they pay for: inference only, or any Hugging Face compute.", examples=["inference"]
    )
    reference: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="Identifies the grant: sending it again grants nothing more. Default: a generated one.",
        examples=["invoice-2026-117"],
    )
    granted_at: str | None = Field(
        None, max_length=40, description="From when they can be used. Default: now.", examples=["2026-11-03T10:15:00Z"]
    )
    expires_at: str | None = Field(
        None, max_length=40, description="When they expire, exclusive. Default: never.", examples=["2027-11-01"]
    )


class CreditsUsedElsewhere(RequestModel):
    """Included credits that were spent on other Hugging Face compute (Endpoints, Spaces, Jobs)."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account. Optional with a key bound to an account.", examples=["acme"]
    )
    month: str = Field(max_length=10, description="The month (UTC) of the included credits.", examples=["2026-11"])
    amount_usd: str = Field(
        pattern=SIGNED_USD_PATTERN,
        description="The amount in dollars. Amounts add up; a negative amount corrects earlier ones.",
        examples=["0.75"],
    )
    reason: str = Field("", max_length=MAX_NAME_LENGTH, description="The reason, for the record.", examples=["Spaces"])


@router.get(
    "", operation_id="show_credits", summary="Show credits", responses=problems("not_found", "account_required", "invalid_time")
)
def get_credits(
    principal: Reader, service: ServiceNow, account: AccountParameter = None, month: MonthParameter = None
) -> CreditsAnswer:
    """Show what credits paid of an account's usage in a month, in burn order, and what is left."""
    name = principal.find_account(service, account).name
    shown = query.month("query.month", month, service.clock())
    return credits_answer(show_credits(service.engine, name, shown, service.catalog))


@router.post(
    "",
    operation_id="grant_credits",
    summary="Grant credits",
    responses=problems(*_BODY_PROBLEMS, "already_exists", "invalid_time"),
    dependencies=[Depends(require_json)],
)
def post_credits(principal: Admin, service: ServiceNow, body: NewCreditGrant) -> GrantedCreditsAnswer:
    """Grant credits that carry over from month to month.

    The same `reference` with the same kind and amount returns the first grant; a different kind or amount is refused.
    """
    name = principal.find_account(service, body.account).name
    granted_at = service.clock() if body.granted_at is None else query.instant("body.granted_at", body.granted_at)
    expires_at = None if body.expires_at is None else query.instant("body.expires_at", body.expires_at)
    amount = parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    grant = CreditGrant(0, body.kind, amount, granted_at, expires_at, body.reference, body.scope)
    return granted_credits_answer(name, grant_credits(service.engine, name, grant, now=service.clock()))


@router.post(
    "/used-elsewhere",
    operation_id="note_used_elsewhere",
    summary="Record included credits spent elsewhere",
    responses=problems(*_BODY_PROBLEMS, "invalid_time"),
    dependencies=[Depends(require_json)],
)
def post_used_elsewhere(principal: Admin, service: ServiceNow, body: CreditsUsedElsewhere) -> CreditsAnswer:
    """Record that some of a month's included credits were spent on other compute; return the month's credits."""
    name = principal.find_account(service, body.account).name
    now = service.clock()
    month = query.month("body.month", body.month, now)
    amount = parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    record_used_elsewhere(service.engine, name, month, amount, reason=body.reason, now=now)
    return credits_answer(show_credits(service.engine, name, month, service.catalog))
