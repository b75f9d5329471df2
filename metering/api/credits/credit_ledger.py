"""``/v1/credits/ledger``, ``/balance`` and ``/void``: credit entries, what is left at an instant, voiding grants."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from metering.answers.credits.credit_ledger import (
    CreditBalanceAnswer,
    CreditEntryPage,
    VoidedCreditsAnswer,
    credit_balance_answer,
    credit_entry_answer,
    voided_credits_answer,
)
from metering.api.fields import USD_PATTERN, AccountParameter, RequestModel
from metering.api.openapi import problems
from metering.domain.instants import format_month, month_of
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.credits.show_credit_ledger import credits_at, show_ledger
from metering.operations.credits.void_credits import void_credits
from metering.web import query
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/credits", tags=["credits"])


class CreditsToVoid(RequestModel):
    """Credits to void."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account. Optional with a key bound to an account.", examples=["acme"]
    )
    reference: str = Field(max_length=MAX_NAME_LENGTH, description="The grant's reference.", examples=["invoice-2026-117"])
    amount_usd: str | None = Field(
        None, pattern=USD_PATTERN, description="The amount in dollars. Default: everything left.", examples=["20.00"]
    )
    reason: str = Field(
        min_length=1, max_length=MAX_NAME_LENGTH, description="The reason; the ledger shows it.", examples=["refunded"]
    )


InstantParameter = Annotated[
    str | None,
    Query(max_length=40, description="RFC 3339, or a date (midnight UTC). Default: now.", examples=["2026-11-05"]),
]


@router.get(
    "/ledger",
    operation_id="show_credit_ledger",
    summary="List credit entries",
    responses=problems("not_found", "account_required", "invalid_cursor"),
)
def get_ledger(principal: Reader, service: ServiceNow, page: PageNow, account: AccountParameter = None) -> CreditEntryPage:
    """List every change to an account's credits. The entries for a month's usage are written when the month is closed."""
    row = principal.find_account(service, account)
    question = ["credit ledger", row.id]
    after = int(page.start(question, [0])[0])
    found = show_ledger(service.engine, row.name, after=after, limit=page.rows)
    return page.of(
        CreditEntryPage,
        found,
        answer=credit_entry_answer,
        key=lambda each: [each.entry.id],
        question=question,
        account=row.name,
    )


@router.get(
    "/balance",
    operation_id="show_credit_balance",
    summary="Show what credits were left at an instant",
    responses=problems("not_found", "account_required", "invalid_time"),
)
def get_balance(
    principal: Reader, service: ServiceNow, account: AccountParameter = None, at: InstantParameter = None
) -> CreditBalanceAnswer:
    """Show the credits an account could use at an instant, by when usage happened, not by when it was ingested."""
    name = principal.find_account(service, account).name
    instant = service.clock() if at is None else query.instant("query.at", at)
    query.month("query.at", format_month(month_of(instant)), service.clock())
    return credit_balance_answer(credits_at(service.engine, name, instant, service.catalog))


@router.post(
    "/void",
    operation_id="void_credits",
    summary="Void credits",
    responses=problems(
        "not_found", "account_required", "credits_overdrawn", "unsupported_media_type", "body_too_large", "not_json"
    ),
    dependencies=[Depends(require_json)],
)
def post_void(principal: Admin, service: ServiceNow, body: CreditsToVoid) -> VoidedCreditsAnswer:
    """Void what is left of a grant, or a part of it. Credits that usage has burned are not left."""
    name = principal.find_account(service, body.account).name
    amount = None if body.amount_usd is None else parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    entry = void_credits(service.engine, name, body.reference, amount, service.catalog, reason=body.reason, now=service.clock())
    return voided_credits_answer(name, entry)
