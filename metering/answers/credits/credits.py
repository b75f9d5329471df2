"""Answers about credit grants, and about an account's credits in a month."""

from typing import Any, Literal

from pydantic import Field

from metering.answers.fields import Answer, amount, instant_field, nano_usd, optional_instant, usd
from metering.domain.credits.credit_summary import CreditSummary
from metering.domain.credits.credits import CreditApplied, CreditGrant, MonthCredits
from metering.domain.instants import format_instant, format_month

_ELSEWHERE = "Included credits recorded as spent on other Hugging Face compute"
_ELSEWHERE_INCLUDED = "The part of them that included credits covered, never more than is included"
_INCLUDED = "The plan's included credits; null where unknown"
_DAILY = "Credits that the plan includes by the day, over all days of the month; each expires when its day (UTC) ends"
_TOPPED_UP = "The part of the month's included credits that credits for single days had paid before the plan changed"
_CARRIED_IN = "Purchased credits left by earlier months"
_GRANTED = "Credits purchased or granted in the month"
_VOIDED = "What was voided of these credits, in the month or later"
_EXPIRING = "What of these credits is unused and expires with the month or during it"


class CreditGrantAnswer(Answer):
    """A credit grant."""

    reference: str = Field(description="Identifies the grant; empty for included credits.", examples=["invoice-2026-117"])
    kind: Literal["included", "purchased", "promotional", "manual"] = Field(
        description="`included` in the plan, `purchased`, `promotional`, or a `manual` grant.", examples=["purchased"]
    )
    scope: Literal["inference", "any_compute"] = Field(
        description="What it pays for. Credits for `any_compute` can also be spent outside this service, so what is left of"
        " them is an upper bound.",
        examples=["inference"],
    )
    amount_nano_usd: int = nano_usd("The amount granted", 25_000_000_000)
    amount_usd: str = usd("The amount granted", "25.000000000")
    voided_nano_usd: int = nano_usd("The amount voided", 0)
    voided_usd: str = usd("The amount voided", "0.000000000")
    granted_at: str = instant_field("From when it can be used")
    expires_at: str | None = instant_field("When it expires, exclusive; null: never", None)


GRANT_EXAMPLE = {
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


class GrantedCreditsAnswer(CreditGrantAnswer):
    """A credit grant with its account."""

    account: str = Field(description="The account.", examples=["acme"])


class CreditAppliedAnswer(Answer):
    """What one grant paid of a month's usage."""

    grant: CreditGrantAnswer = Field(
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
    left_nano_usd: int = nano_usd("What was left of it afterwards", 750_000_000)
    left_usd: str = usd("What was left of it afterwards", "0.750000000")


class MonthCreditsAnswer(Answer):
    """What credits paid in a month, and what is left."""

    applied: list[CreditAppliedAnswer] = Field(description="What each grant paid, in burn order.", examples=[[]])
    applied_nano_usd: int = nano_usd("What all grants paid", 1_250_000_000)
    applied_usd: str = usd("What all grants paid", "1.250000000")
    included_left_nano_usd: int = nano_usd("Included credits left", 750_000_000)
    included_left_usd: str = usd("Included credits left", "0.750000000")
    purchased_left_nano_usd: int = nano_usd("Purchased credits that carry over to the next month", 0)
    purchased_left_usd: str = usd("Purchased credits that carry over to the next month", "0.000000000")
    uncovered_nano_usd: int = nano_usd("Usage that no credits paid", 0)
    uncovered_usd: str = usd("Usage that no credits paid", "0.000000000")


class CreditsAnswer(MonthCreditsAnswer):
    """An account's credits in a month.

    The parts add up. Included credits: `included` = `used_elsewhere_of_included` + what they `applied` + `topped_up` +
    `included_left`. Credits for single days: `daily` = `daily_applied` + what expired with its day or will.
    Purchased credits: `carried_in` + `granted` = `voided` + what they `applied` + `expiring` + `purchased_left`.
    """

    account: str = Field(description="The account.", examples=["acme"])
    month: str = Field(description="The month.", examples=["2026-11"])
    plan: str = Field(description="Plan at the end of the month.", examples=["pro"])
    included_nano_usd: int | None = nano_usd(_INCLUDED, 2_000_000_000)
    included_usd: str | None = usd(_INCLUDED, "2.000000000")
    used_elsewhere_nano_usd: int = nano_usd(_ELSEWHERE, 0)
    used_elsewhere_usd: str = usd(_ELSEWHERE, "0.000000000")
    used_elsewhere_of_included_nano_usd: int = nano_usd(_ELSEWHERE_INCLUDED, 0)
    used_elsewhere_of_included_usd: str = usd(_ELSEWHERE_INCLUDED, "0.000000000")
    included_left_is_upper_bound: bool = Field(
        description="Whether included credits can also be spent on other compute, so that less may be left.", examples=[True]
    )
    daily_nano_usd: int = nano_usd(_DAILY, 0)
    daily_usd: str = usd(_DAILY, "0.000000000")
    daily_applied_nano_usd: int = nano_usd("What they paid, each of its day's usage", 0)
    daily_applied_usd: str = usd("What they paid, each of its day's usage", "0.000000000")
    topped_up_nano_usd: int = nano_usd(_TOPPED_UP, 0)
    topped_up_usd: str = usd(_TOPPED_UP, "0.000000000")
    carried_in_nano_usd: int = nano_usd(_CARRIED_IN, 0)
    carried_in_usd: str = usd(_CARRIED_IN, "0.000000000")
    granted_nano_usd: int = nano_usd(_GRANTED, 0)
    granted_usd: str = usd(_GRANTED, "0.000000000")
    voided_nano_usd: int = nano_usd(_VOIDED, 0)
    voided_usd: str = usd(_VOIDED, "0.000000000")
    expiring_nano_usd: int = nano_usd(_EXPIRING, 0)
    expiring_usd: str = usd(_EXPIRING, "0.000000000")
    purchased_left_is_upper_bound: bool = Field(
        description="Whether some of the purchased credits left can also be spent on other compute, so that less may be left.",
        examples=[False],
    )
    grants: list[CreditGrantAnswer] = Field(description="All grants of purchased credits, oldest first.", examples=[[]])


def credit_grant_answer(grant: CreditGrant) -> CreditGrantAnswer:
    """Return a grant."""
    return CreditGrantAnswer.model_validate(_grant_fields(grant))


def granted_credits_answer(account: str, grant: CreditGrant) -> GrantedCreditsAnswer:
    """Return an account's grant."""
    return GrantedCreditsAnswer.model_validate({"account": account, **_grant_fields(grant)})


def month_credits_answer(month: MonthCredits) -> MonthCreditsAnswer:
    """Return what credits paid in a month, and what is left."""
    return MonthCreditsAnswer(**_month_fields(month))


def credits_answer(summary: CreditSummary) -> CreditsAnswer:
    """Return an account's credits in a month."""
    included, purchased = summary.included, summary.purchased
    return CreditsAnswer(
        account=summary.account,
        month=format_month(summary.month.month),
        plan=summary.plan.plan,
        **amount("included", included.included_nano),
        **amount("used_elsewhere", summary.used_elsewhere_nano),
        **amount("used_elsewhere_of_included", included.elsewhere_nano),
        included_left_is_upper_bound=included.is_upper_bound,
        **amount("daily", included.daily_nano),
        **amount("daily_applied", included.daily_applied_nano),
        **amount("topped_up", included.topped_nano),
        **amount("carried_in", purchased.carried_in_nano),
        **amount("granted", purchased.granted_nano),
        **amount("voided", purchased.voided_nano),
        **amount("expiring", purchased.expiring_nano),
        purchased_left_is_upper_bound=purchased.is_upper_bound,
        grants=[credit_grant_answer(grant) for grant in summary.grants],
        **_month_fields(summary.month),
    )


def _grant_fields(grant: CreditGrant) -> dict[str, Any]:
    return {
        "reference": grant.reference,
        "kind": grant.kind,
        "scope": grant.scope,
        **amount("amount", grant.amount_nano),
        **amount("voided", grant.voided_nano),
        "granted_at": format_instant(grant.granted_at),
        "expires_at": optional_instant(grant.expires_at),
    }


def _month_fields(month: MonthCredits) -> dict[str, Any]:
    return {
        "applied": [_applied(item) for item in month.applied],
        **amount("applied", month.applied_nano),
        **amount("included_left", month.included_left_nano),
        **amount("purchased_left", month.purchased_left_nano),
        **amount("uncovered", month.uncovered_nano),
    }


def _applied(item: CreditApplied) -> CreditAppliedAnswer:
    return CreditAppliedAnswer(
        grant=credit_grant_answer(item.grant), **amount("amount", item.amount_nano), **amount("left", item.left_nano)
    )
