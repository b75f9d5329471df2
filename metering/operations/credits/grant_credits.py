"""Grant credits, record credits spent elsewhere, and show what is left."""

import secrets

from msgspec.structs import replace
from sqlalchemy import Engine

from metering.domain.accounts.plan_history import plan_month
from metering.domain.credits.credit_ledger import CreditEntry, EntryKind
from metering.domain.credits.credit_summary import CreditSummary, included_credits, purchased_credits
from metering.domain.credits.credits import ANY_COMPUTE, GRANTED_KINDS, INFERENCE_ONLY, CreditGrant
from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.instants import month_of, month_of_day
from metering.domain.statements.account_books import AccountBooks
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import books_for_credits
from metering.operations.steps.record_credits import record_entries
from metering.storage.credits.credits import (
    INCLUDED_REFERENCE,
    grants_of,
    insert_grant,
    insert_used_elsewhere,
    used_elsewhere,
)
from metering.storage.engine.database import exclusive_write, read_snapshot
from pricing.money import MAX_AMOUNT_NANO
from pricing.plans import PlanCatalog


def grant_credits(engine: Engine, account: str, grant: CreditGrant, *, now: int) -> CreditGrant:
    """Grant credits to an account; return the grant with its id.

    A ``reference`` identifies the grant: the same reference, kind and amount again returns the first one; a different kind or
    amount raises AlreadyExistsError. Raises NotFoundError, and DomainError for a grant that is not valid.
    """
    if grant.kind not in GRANTED_KINDS:
        raise DomainError(f"granted credits are one of {', '.join(GRANTED_KINDS)}; got {grant.kind[:40]!r}")
    if grant.scope not in (INFERENCE_ONLY, ANY_COMPUTE):
        raise DomainError(f"the scope of credits is {INFERENCE_ONLY} or {ANY_COMPUTE}; got {grant.scope[:40]!r}")
    if grant.reference.startswith(INCLUDED_REFERENCE):
        raise DomainError(
            f"references that start with {INCLUDED_REFERENCE!r} are reserved for included credits; choose a different one"
        )
    if not 0 < grant.amount_nano <= MAX_AMOUNT_NANO:
        raise DomainError("the amount must be more than zero and less than nine million dollars")
    if grant.expires_at is not None and grant.expires_at <= grant.granted_at:
        raise DomainError("credits must expire after the time they are granted")
    reference = grant.reference or f"grant-{secrets.token_hex(6)}"
    with exclusive_write(engine) as connection:
        row = find_account(connection, account)
        for known in grants_of(connection, row.id):
            if known.reference == reference:
                if (known.kind, known.amount_nano) == (grant.kind, grant.amount_nano):
                    return known
                raise AlreadyExistsError(
                    f"the reference {reference!r} belongs to a different grant of {account!r}; see `metering credits show`"
                )
        recorded = replace(grant, id=insert_grant(connection, row.id, replace(grant, reference=reference)), reference=reference)
        month = month_of(recorded.granted_at)
        entry = CreditEntry(
            grant=recorded,
            kind=EntryKind.GRANT,
            amount_nano=recorded.amount_nano,
            usage_month=month,
            billing_month=month,
            reason=reference,
        )
        record_entries(connection, row.id, [entry], now=now)
    return recorded


def record_used_elsewhere(engine: Engine, account: str, month: int, amount_nano: int, *, reason: str, now: int) -> None:
    """Record that some of a month's included credits were spent on other Hugging Face compute (Endpoints, Spaces, Jobs).

    Amounts add up; a negative amount corrects earlier ones. Raises NotFoundError, and DomainError if the sum would be negative.
    """
    with exclusive_write(engine) as connection:
        row = find_account(connection, account)
        total = used_elsewhere(connection, row.id).get(month, 0) + amount_nano
        if total < 0:
            raise DomainError("the total spent elsewhere in the month would be negative")
        if total > MAX_AMOUNT_NANO:
            raise DomainError("the total spent elsewhere in a month must be less than nine million dollars")
        insert_used_elsewhere(connection, row.id, month, amount_nano, reason=reason, now=now)


def show_credits(engine: Engine, account: str, month: int, catalog: PlanCatalog) -> CreditSummary:
    """Return an account's credits in a month (``YYYYMM``). Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        row = find_account(connection, account)
        books = books_for_credits(connection, row.id, catalog)
    plan = plan_month(books.plan_changes, month, catalog)
    first, inputs = books.burn_inputs(month, catalog)
    burned = inputs.burn(first, month)
    elsewhere = books.elsewhere.get(month, 0)
    grant = inputs.included.get(month)
    return CreditSummary(
        account=row.name,
        plan=plan,
        month=burned[-1],
        included=included_credits(
            burned[-1],
            # A closed month keeps what it was closed with. Without a grant, the plan includes nothing or the amount is unknown.
            grant.amount_nano if grant is not None else None if plan.included_credit_nano is None else 0,
            elsewhere,
            scope=INFERENCE_ONLY if grant is None else grant.scope,
            daily=[each for day, each in sorted(inputs.daily.items()) if month_of_day(day) == month],
        ),
        purchased=purchased_credits(burned, inputs.grants, _voided_before(books, month)),
        grants=list(inputs.grants),
        used_elsewhere_nano=elsewhere,
    )


def _voided_before(books: AccountBooks, month: int) -> dict[int, int]:
    """Return what was voided of each grant before a month, by grant id."""
    voided: dict[int, int] = {}
    for entry in books.entries:
        if entry.kind is EntryKind.VOID and entry.usage_month < month:
            voided[entry.grant.id] = voided.get(entry.grant.id, 0) - entry.amount_nano
    return voided
