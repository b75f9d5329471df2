"""Answers about adjustments."""

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, usd
from metering.domain.credits.adjustments import Adjustment
from metering.domain.instants import format_instant, format_month

_AMOUNT = "How much more the account owes; negative: less"


class AdjustmentAnswer(Answer):
    """An adjustment of usage, which counts for its month's credits too, or of the total of a statement, which does not."""

    account: str = Field(description="The account.", examples=["acme"])
    reference: str = Field(description="Identifies the adjustment.", examples=["reconciliation-2026-10"])
    month: str = Field(description="The month it is about.", examples=["2026-10"])
    billing_month: str = Field(description="The month of the statement that shows it.", examples=["2026-11"])
    amount_nano_usd: int = nano_usd(_AMOUNT, -26_000_000_000)
    amount_usd: str = usd(_AMOUNT, "-26.000000000")
    reason: str = Field(description="The reason; the statement shows it.", examples=["agreed with Hugging Face"])
    adjusts: str = Field(
        description="`usage`, which credits pay for, or `total`: what is owed, whatever credits are left.", examples=["usage"]
    )
    recorded_at: str = instant_field("When it was recorded")


class AdjustmentPage(Page):
    """A page of an account's adjustments, in the order they were recorded."""

    account: str = Field(description="The account.", examples=["acme"])
    items: list[AdjustmentAnswer] = Field(description="The adjustments.", examples=[[]])


def adjustment_answer(account: str, adjustment: Adjustment) -> AdjustmentAnswer:
    """Return an account's adjustment."""
    return AdjustmentAnswer(
        account=account,
        reference=adjustment.reference,
        month=format_month(adjustment.origin_month),
        billing_month=format_month(adjustment.billing_month),
        **amount("amount", adjustment.amount_nano),
        reason=adjustment.reason,
        adjusts=adjustment.adjusts,
        recorded_at=format_instant(adjustment.recorded_at),
    )
