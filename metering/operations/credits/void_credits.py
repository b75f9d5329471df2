"""Void granted credits that have not been used."""

from msgspec.structs import replace
from sqlalchemy import Engine

from metering.domain.credits.credit_ledger import CreditEntry, EntryKind
from metering.domain.credits.credits import INCLUDED, CreditGrant
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.instants import format_instant, month_of
from metering.domain.statements.account_books import AccountBooks, open_months
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import books_for_credits
from metering.operations.steps.record_credits import OverdrawnError, record_entries
from metering.storage.engine.database import exclusive_write
from pricing.dollars import format_nano
from pricing.plans import PlanCatalog


def void_credits(
    engine: Engine, account: str, reference: str, amount_nano: int | None, catalog: PlanCatalog, *, reason: str, now: int
) -> CreditEntry:
    """Void an amount of a grant, or everything left of it (None); return the entry.

    Credits that usage of open months has burned are not left, although they have no entry yet. Raises NotFoundError,
    OverdrawnError for more than is left, and DomainError for an expired grant or an empty reason.
    """
    if not reason.strip():
        raise DomainError("voiding credits needs a reason; the ledger shows it")
    if amount_nano is not None and amount_nano <= 0:
        raise DomainError("the amount to void must be more than zero")
    with exclusive_write(engine) as connection:
        row = find_account(connection, account)
        books = books_for_credits(connection, row.id, catalog)
        grant = _find(books, account, reference)
        if grant.expires_at is not None and grant.expires_at <= now:
            raise DomainError(f"the grant {reference!r} expired at {format_instant(grant.expires_at)}; nothing is left of it")
        left = _left(books, grant, catalog, now)
        wanted = left if amount_nano is None else amount_nano
        if wanted > left or not left:
            raise OverdrawnError(
                f"only ${format_nano(left)} is left of the grant {reference!r}; no more than that can be voided"
            )
        month = month_of(now)
        entry = CreditEntry(
            grant=grant, kind=EntryKind.VOID, amount_nano=-wanted, usage_month=month, billing_month=month, reason=reason
        )
        record_entries(connection, row.id, [entry], now=now)
        return replace(entry, recorded_at=now)


def _find(books: AccountBooks, account: str, reference: str) -> CreditGrant:
    for grant in books.grants:
        if grant.kind != INCLUDED and grant.reference == reference:
            return grant
    raise NotFoundError(f"{account[:80]!r} has no grant {reference[:80]!r}; see `metering credits show`")


def _left(books: AccountBooks, grant: CreditGrant, catalog: PlanCatalog, now: int) -> int:
    """Return what is left of a grant, less what open months have used."""
    last = max(month_of(now), books.next_open or 0)
    pending = [entry for booked in open_months(books, last, catalog) for entry in booked.entries]
    written = sum(entry.amount_nano for entry in books.entries if entry.grant.id == grant.id)
    used = sum(entry.amount_nano for entry in pending if entry.grant.id == grant.id and entry.kind is not EntryKind.EXPIRE)
    # A correction may restore some when the month closes; until that is in the ledger it cannot be voided.
    return min(written, written + used)
