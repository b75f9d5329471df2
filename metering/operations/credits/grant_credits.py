"""Grant credits, say what was spent elsewhere, and show what is left."""

import secrets

from msgspec.structs import replace
from sqlalchemy import Engine

from metering.domain.accounts.plan_history import plan_month
from metering.domain.credits.credit_ledger import CreditEntry, EntryKind
from metering.domain.credits.credit_summary import CreditSummary, granted_credit, included_credit
from metering.domain.credits.credits import ANY_COMPUTE, GRANTED_KINDS, INFERENCE_ONLY, CreditGrant
from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.instants import month_of
from metering.domain.statements.account_books import AccountBooks
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import read_books
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
from pricing.plans import PlanCatalogue


def grant_credits(engine: Engine, account: str, grant: CreditGrant, *, now: int) -> CreditGrant:
    """Give or sell credits to an account; return the grant with its id.

    A ``reference`` names the purchase: the same purchase again is answered with the first grant, the same reference with
    another amount is refused (AlreadyExistsError). Raises NotFoundError.
    """
    if grant.kind not in GRANTED_KINDS:
        raise DomainError(f"credits are {', '.join(GRANTED_KINDS)}, got {grant.kind[:40]!r}; plans grant the included ones")
    if grant.scope not in (INFERENCE_ONLY, ANY_COMPUTE):
        raise DomainError(f"credits are for {INFERENCE_ONLY} or {ANY_COMPUTE}, got {grant.scope[:40]!r}")
    if grant.reference.startswith(INCLUDED_REFERENCE):
        raise DomainError(f"a reference that begins with {INCLUDED_REFERENCE!r} names a plan's own credits; choose another")
    if not 0 < grant.amount_nano <= MAX_AMOUNT_NANO:
        raise DomainError("an amount of credits must be more than zero and less than nine million dollars")
    if grant.expires_at is not None and grant.expires_at <= grant.granted_at:
        raise DomainError("credits must expire after they are granted")
    reference = grant.reference or f"grant-{secrets.token_hex(6)}"
    with exclusive_write(engine) as connection:
        row = find_account(connection, account)
        for known in grants_of(connection, row.id):
            if known.reference == reference:
                if (known.kind, known.amount_nano) == (grant.kind, grant.amount_nano):
                    return known
                raise AlreadyExistsError(f"the reference {reference!r} is another grant of {account!r}")
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
    """Say that some of a month's included credit was spent on other Hugging Face compute (Endpoints, Spaces, Jobs).

    A negative amount takes an earlier one back. Raises NotFoundError, and DomainError where the sum would be negative.
    """
    with exclusive_write(engine) as connection:
        row = find_account(connection, account)
        in_all = used_elsewhere(connection, row.id).get(month, 0) + amount_nano
        if in_all < 0:
            raise DomainError("less than nothing can not have been spent elsewhere")
        if in_all > MAX_AMOUNT_NANO:
            raise DomainError("what was spent elsewhere in a month must be less than nine million dollars")
        insert_used_elsewhere(connection, row.id, month, amount_nano, reason=reason, now=now)


def show_credits(engine: Engine, account: str, month: int, catalogue: PlanCatalogue) -> CreditSummary:
    """Return an account's credits in a month (``YYYYMM``). Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        row = find_account(connection, account)
        books = read_books(connection, row.id)
    plan = plan_month(books.plan_changes, month, catalogue)
    first, known = books.known_months(month, catalogue)
    burned = known.burn(first, month)
    elsewhere = books.elsewhere.get(month, 0)
    grant = known.included.get(month)
    return CreditSummary(
        account=row.name,
        plan=plan,
        month=burned[-1],
        included=included_credit(
            burned[-1],
            # A closed month has what it was closed with; nothing is granted where the plan includes nothing, or nobody knows.
            grant.amount_nano if grant is not None else None if plan.included_credit_nano is None else 0,
            elsewhere,
            scope=INFERENCE_ONLY if grant is None else grant.scope,
        ),
        lasting=granted_credit(burned, known.grants, _voided_before(books, month)),
        grants=list(known.grants),
        used_elsewhere_nano=elsewhere,
    )


def _voided_before(books: AccountBooks, month: int) -> dict[int, int]:
    """Return what was taken back of each grant before a month, by the grant's id."""
    voided: dict[int, int] = {}
    for entry in books.entries:
        if entry.kind is EntryKind.VOID and entry.usage_month < month:
            voided[entry.grant.id] = voided.get(entry.grant.id, 0) - entry.amount_nano
    return voided
