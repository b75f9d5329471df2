"""``/v1/credits/ledger``, ``/balance`` and ``/void``: movements of credits, what is left at an instant, and taking back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from metering.api.credits.credits import Grant, grant_answer
from metering.api.fields import (
    DEFAULT_PAGE,
    USD_PATTERN,
    AccountParameter,
    Answer,
    CursorParameter,
    LimitParameter,
    RequestModel,
    instant_field,
    nano_usd,
    next_cursor_field,
    usd,
)
from metering.api.openapi import problems
from metering.domain.credits.credit_ledger import CreditMovement, EntryKind
from metering.domain.instants import format_instant, format_month, month_of
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.credits.show_credit_ledger import credits_at, show_ledger
from metering.operations.credits.void_credits import void_credits
from metering.web import query
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.dollars import format_nano
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/credits", tags=["credits"])

_GRANT = {
    "reference": "invoice-2026-117",
    "kind": "purchased",
    "scope": "inference",
    "amount_nano_usd": 25_000_000_000,
    "amount_usd": "25.000000000",
    "voided_nano_usd": 0,
    "voided_usd": "0.000000000",
    "granted_at": "2026-11-03T10:15:00.000000Z",
    "expires_at": None,
}


class Movement(Answer):
    """One movement of credits."""

    id: int = Field(description="The entry.", examples=[12])
    kind: EntryKind = Field(description="What moved.", examples=["apply"])
    grant: Grant = Field(description="Of which grant.", examples=[_GRANT])
    amount_nano_usd: int = nano_usd("What it gave, or with a minus took", -5_000_000_000)
    amount_usd: str = usd("What it gave, or with a minus took", "-5.000000000")
    left_nano_usd: int = nano_usd("What was left of the grant after it", 20_000_000_000)
    left_usd: str = usd("What was left of the grant after it", "20.000000000")
    usage_month: str = Field(description="The month whose usage it pays, or whose credit it is.", examples=["2026-11"])
    billing_month: str = Field(description="The statement on which it stands.", examples=["2026-11"])
    reason: str = Field(description="Why, where somebody said so.", examples=[""])
    recorded_at: str = instant_field("When it was written")


class Ledger(Answer):
    """A page of an account's ledger, in the order in which it was written."""

    items: list[Movement] = Field(description="The movements.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class Left(Answer):
    """What is left of a grant."""

    grant: Grant = Field(description="The grant.", examples=[_GRANT])
    left_nano_usd: int = nano_usd("What is left of it", 20_000_000_000)
    left_usd: str = usd("What is left of it", "20.000000000")


class Balance(Answer):
    """What credits an account could use at an instant."""

    account: str = Field(description="The account.", examples=["acme"])
    at: str = instant_field("The instant")
    left_nano_usd: int = nano_usd("All that was left", 20_000_000_000)
    left_usd: str = usd("All that was left", "20.000000000")
    is_upper_bound: bool = Field(
        description="Whether some of it can also be spent on other Hugging Face compute, so that less may be left.",
        examples=[False],
    )
    grants: list[Left] = Field(description="By grant, in the order of burning.", examples=[[]])


class Voiding(RequestModel):
    """Credits to take back."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account; a bound key may leave it out.", examples=["acme"]
    )
    reference: str = Field(max_length=MAX_NAME_LENGTH, description="Names the grant.", examples=["invoice-2026-117"])
    amount_usd: str | None = Field(
        None, pattern=USD_PATTERN, description="How much, in dollars. Left out: all that is left.", examples=["20.00"]
    )
    reason: str = Field(
        min_length=1, max_length=MAX_NAME_LENGTH, description="Why, for whoever reads it later.", examples=["refunded"]
    )


class Voided(Answer):
    """Credits that were taken back."""

    reference: str = Field(description="Names the grant.", examples=["invoice-2026-117"])
    voided_nano_usd: int = nano_usd("What was taken back", 20_000_000_000)
    voided_usd: str = usd("What was taken back", "20.000000000")
    reason: str = Field(description="Why.", examples=["refunded"])


InstantParameter = Annotated[
    str | None,
    Query(max_length=40, description="RFC 3339, or a date (midnight UTC). Left out: now.", examples=["2026-11-05"]),
]


@router.get(
    "/ledger",
    operation_id="show_credit_ledger",
    summary="List movements of credits",
    responses=problems("not_found", "account_required", "invalid_cursor"),
)
def get_ledger(
    principal: Reader,
    service: ServiceNow,
    account: AccountParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> Ledger:
    """List every movement of an account's credits. What a month's usage takes is written when the month is closed."""
    row = principal.find_account(service, account)
    question = ["credit ledger", row.id]
    after = 0 if cursor is None else int(read_cursor(cursor, question, [int])[0])
    found = [each for each in show_ledger(service.engine, row.name) if each.entry.id > after]
    last = found[limit - 1].entry.id if len(found) > limit else None
    return Ledger(
        items=[_movement(each) for each in found[:limit]],
        next_cursor=None if last is None else write_cursor([last], question),
    )


@router.get(
    "/balance",
    operation_id="show_credit_balance",
    summary="Show what credits were left at an instant",
    responses=problems("not_found", "account_required", "invalid_time"),
)
def get_balance(
    principal: Reader, service: ServiceNow, account: AccountParameter = None, at: InstantParameter = None
) -> Balance:
    """Show what credits an account could use at an instant, judged by when usage happened and not by when it was known."""
    name = principal.find_account(service, account).name
    instant = service.clock() if at is None else query.instant("query.at", at)
    query.month("query.at", format_month(month_of(instant)), service.clock())
    found = credits_at(service.engine, name, instant, service.catalogue)
    return Balance(
        account=found.account,
        at=format_instant(found.instant),
        left_nano_usd=found.left_nano,
        left_usd=format_nano(found.left_nano),
        is_upper_bound=found.is_upper_bound,
        grants=[
            Left(grant=grant_answer(each.grant), left_nano_usd=each.left_nano, left_usd=format_nano(each.left_nano))
            for each in found.grants
        ],
    )


@router.post(
    "/void",
    operation_id="void_credits",
    summary="Take credits back",
    responses=problems(
        "not_found", "account_required", "credits_overdrawn", "unsupported_media_type", "body_too_large", "not_json"
    ),
    dependencies=[Depends(require_json)],
)
def post_void(principal: Admin, service: ServiceNow, body: Voiding) -> Voided:
    """Take back what is left of a grant, or an amount of it. What usage has used is not left."""
    name = principal.find_account(service, body.account).name
    amount = None if body.amount_usd is None else parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    taken = void_credits(
        service.engine, name, body.reference, amount, service.catalogue, reason=body.reason, now=service.clock()
    )
    voided = -taken.amount_nano
    return Voided(reference=body.reference, voided_nano_usd=voided, voided_usd=format_nano(voided), reason=body.reason)


def _movement(row: CreditMovement) -> Movement:
    entry = row.entry
    return Movement(
        id=entry.id,
        kind=entry.kind,
        grant=grant_answer(entry.grant),
        amount_nano_usd=entry.amount_nano,
        amount_usd=format_nano(entry.amount_nano),
        left_nano_usd=row.left_nano,
        left_usd=format_nano(row.left_nano),
        usage_month=format_month(entry.usage_month),
        billing_month=format_month(entry.billing_month),
        reason=entry.reason,
        recorded_at=format_instant(entry.recorded_at),
    )
