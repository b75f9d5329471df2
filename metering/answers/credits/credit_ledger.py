"""Answers about the credit ledger: entries, balances, voided credits."""

from pydantic import Field

from metering.answers.credits.credits import GRANT_EXAMPLE, CreditGrantAnswer, credit_grant_answer
from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, usd
from metering.domain.credits.credit_balance import CreditBalance, GrantBalance
from metering.domain.credits.credit_ledger import CreditEntry, CreditMovement, EntryKind
from metering.domain.instants import format_instant, format_month

_CHANGE = "What it added to the grant's balance; negative: what it took"


class CreditEntryAnswer(Answer):
    """One change to a grant's balance."""

    id: int = Field(description="The entry.", examples=[12])
    kind: EntryKind = Field(description="Why the balance changed.", examples=["apply"])
    grant: CreditGrantAnswer = Field(description="The grant.", examples=[GRANT_EXAMPLE])
    amount_nano_usd: int = nano_usd(_CHANGE, -5_000_000_000)
    amount_usd: str = usd(_CHANGE, "-5.000000000")
    left_nano_usd: int = nano_usd("The grant's balance after it", 20_000_000_000)
    left_usd: str = usd("The grant's balance after it", "20.000000000")
    usage_month: str = Field(
        description="The month of the usage it pays for, or of the included credits.", examples=["2026-11"]
    )
    billing_month: str = Field(description="The month of the statement that shows it.", examples=["2026-11"])
    reason: str = Field(description="The reason; empty where none was given.", examples=[""])
    recorded_at: str = instant_field("When it was written")


class CreditEntryPage(Page):
    """A page of an account's credit ledger, in the order it was written."""

    account: str = Field(description="The account.", examples=["acme"])
    items: list[CreditEntryAnswer] = Field(description="The entries.", examples=[[]])


class GrantBalanceAnswer(Answer):
    """A grant and what is left of it."""

    grant: CreditGrantAnswer = Field(description="The grant.", examples=[GRANT_EXAMPLE])
    left_nano_usd: int = nano_usd("What is left of it", 20_000_000_000)
    left_usd: str = usd("What is left of it", "20.000000000")


class CreditBalanceAnswer(Answer):
    """The credits an account could use at an instant."""

    account: str = Field(description="The account.", examples=["acme"])
    at: str = instant_field("The instant")
    left_nano_usd: int = nano_usd("What was left of all grants", 20_000_000_000)
    left_usd: str = usd("What was left of all grants", "20.000000000")
    is_upper_bound: bool = Field(
        description="Whether some of them can also be spent on other Hugging Face compute, so that less may be left.",
        examples=[False],
    )
    grants: list[GrantBalanceAnswer] = Field(description="The grants, in burn order.", examples=[[]])


class VoidedCreditsAnswer(Answer):
    """Credits that were voided."""

    account: str = Field(description="The account.", examples=["acme"])
    reference: str = Field(description="The grant's reference.", examples=["invoice-2026-117"])
    voided_nano_usd: int = nano_usd("The amount voided", 20_000_000_000)
    voided_usd: str = usd("The amount voided", "20.000000000")
    reason: str = Field(description="The reason.", examples=["refunded"])


def credit_entry_answer(movement: CreditMovement) -> CreditEntryAnswer:
    """Return an entry with the balance after it."""
    entry = movement.entry
    return CreditEntryAnswer(
        id=entry.id,
        kind=entry.kind,
        grant=credit_grant_answer(entry.grant),
        **amount("amount", entry.amount_nano),
        **amount("left", movement.left_nano),
        usage_month=format_month(entry.usage_month),
        billing_month=format_month(entry.billing_month),
        reason=entry.reason,
        recorded_at=format_instant(entry.recorded_at),
    )


def credit_balance_answer(balance: CreditBalance) -> CreditBalanceAnswer:
    """Return an account's credits at an instant."""
    return CreditBalanceAnswer(
        account=balance.account,
        at=format_instant(balance.instant),
        **amount("left", balance.left_nano),
        is_upper_bound=balance.is_upper_bound,
        grants=[_grant_balance(each) for each in balance.grants],
    )


def voided_credits_answer(account: str, entry: CreditEntry) -> VoidedCreditsAnswer:
    """Return what an entry voided of an account's grant."""
    return VoidedCreditsAnswer(
        account=account, reference=entry.grant.reference, **amount("voided", -entry.amount_nano), reason=entry.reason
    )


def _grant_balance(balance: GrantBalance) -> GrantBalanceAnswer:
    return GrantBalanceAnswer(grant=credit_grant_answer(balance.grant), **amount("left", balance.left_nano))
