"""Grant credits, say what was spent elsewhere, and show what is left."""

import secrets

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.credits import PROMOTIONAL, PURCHASED, CreditGrant, MonthCredits
from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.plan_history import PlanMonth
from metering.operations.steps.burn_credits import credits_through
from metering.operations.steps.find_account import find_account
from metering.storage.credits import grants_of, insert_grant, insert_used_elsewhere, used_elsewhere
from metering.storage.database import reading, writing
from pricing.money import MAX_AMOUNT_NANO
from pricing.plans import PlanCatalogue


class CreditBalance(Struct, frozen=True):
    """An account's credits in a month: what was applied, and what is left."""

    account: str
    plan: PlanMonth
    month: MonthCredits
    grants: list[CreditGrant]
    used_elsewhere_nano: int


def grant_credits(engine: Engine, account: str, grant: CreditGrant) -> CreditGrant:
    """Give or sell credits to an account; return the grant with its id.

    A ``reference`` names the purchase: the same purchase again is answered with the first grant, the same reference with
    another amount is refused (AlreadyExistsError). Raises NotFoundError.
    """
    if grant.kind not in (PURCHASED, PROMOTIONAL):
        raise DomainError(f"credits are {PURCHASED} or {PROMOTIONAL}, got {grant.kind[:40]!r}; plans grant the included ones")
    if not 0 < grant.amount_nano <= MAX_AMOUNT_NANO:
        raise DomainError("an amount of credits must be more than zero and less than nine million dollars")
    if grant.expires_at is not None and grant.expires_at <= grant.granted_at:
        raise DomainError("credits must expire after they are granted")
    reference = grant.reference or f"grant-{secrets.token_hex(6)}"
    with writing(engine) as connection:
        row = find_account(connection, account)
        for known in grants_of(connection, row.id):
            if known.reference == reference:
                if (known.kind, known.amount_nano) == (grant.kind, grant.amount_nano):
                    return known
                raise AlreadyExistsError(f"the reference {reference!r} is another grant of {account!r}")
        named = CreditGrant(0, grant.kind, grant.amount_nano, grant.granted_at, grant.expires_at, reference)
        grant_id = insert_grant(connection, row.id, named)
    return CreditGrant(grant_id, named.kind, named.amount_nano, named.granted_at, named.expires_at, reference)


def note_used_elsewhere(engine: Engine, account: str, month: int, amount_nano: int, *, reason: str, now: int) -> None:
    """Say that some of a month's included credit was spent on other Hugging Face compute (Endpoints, Spaces, Jobs).

    A negative amount takes an earlier one back. Raises NotFoundError, and DomainError where the sum would be negative.
    """
    with writing(engine) as connection:
        row = find_account(connection, account)
        in_all = used_elsewhere(connection, row.id).get(month, 0) + amount_nano
        if in_all < 0:
            raise DomainError("less than nothing can not have been spent elsewhere")
        if in_all > MAX_AMOUNT_NANO:
            raise DomainError("what was spent elsewhere in a month must be less than nine million dollars")
        insert_used_elsewhere(connection, row.id, month, amount_nano, reason=reason, now=now)


def show_credits(engine: Engine, account: str, month: int, catalogue: PlanCatalogue) -> CreditBalance:
    """Return an account's credits in a month (``YYYYMM``). Raises NotFoundError."""
    with reading(engine) as connection:
        row = find_account(connection, account)
        plan, burned = credits_through(connection, row.id, month, catalogue)
        elsewhere = used_elsewhere(connection, row.id).get(month, 0)
        return CreditBalance(row.name, plan, burned, grants_of(connection, row.id), elsewhere)
