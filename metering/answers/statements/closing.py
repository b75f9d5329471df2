"""Answers about closing months, and about what has changed since."""

from collections.abc import Iterable, Sequence

from pydantic import Field

from metering.answers.fields import Answer, amount, nano_usd, usd
from metering.answers.statements.statements import (
    StatementAnswer,
    StatementSummaryAnswer,
    statement_fields,
    statement_summary_answer,
)
from metering.domain.instants import format_month
from metering.domain.statements.close_failure import CloseFailure
from metering.domain.statements.closed_month_drift import ClosedMonthDrift, StatementCorrection
from metering.domain.statements.statements import Statement

_USAGE = "Billable usage, adjustments included"
_CREDITS = "What credits paid; negative: what was restored to them"
_AMOUNTS_EXAMPLE = {
    "usage_nano_usd": 27_000_000_000,
    "usage_usd": "27.000000000",
    "credits_nano_usd": 2_000_000_000,
    "credits_usd": "2.000000000",
}


class ClosedStatementAnswer(StatementAnswer):
    """A closed statement, and the earlier months that were closed with it."""

    closed_earlier: list[StatementSummaryAnswer] = Field(
        description="Earlier months that this call closed first (`with_earlier`), oldest first.", examples=[[]]
    )


class CloseFailureAnswer(Answer):
    """A month that is due but could not be closed."""

    account: str = Field(description="The account.", examples=["acme"])
    month: str = Field(description="The month.", examples=["2026-10"])
    code: str = Field(description="The stable code of the reason.", examples=["unpriced_usage"])
    reason: str = Field(
        description="Why it could not be closed.", examples=["1 request of 'acme' in 2026-10 is not priced yet"]
    )


class DueMonthsAnswer(Answer):
    """What closing every due month did."""

    closed: list[StatementSummaryAnswer] = Field(description="The statements that were closed.", examples=[[]])
    not_closed: list[CloseFailureAnswer] = Field(description="The months that stay open.", examples=[[]])


class MonthAmountsAnswer(Answer):
    """A month's own usage, and what credits paid of it."""

    usage_nano_usd: int = nano_usd(_USAGE, 27_000_000_000)
    usage_usd: str = usd(_USAGE, "27.000000000")
    credits_nano_usd: int = nano_usd(_CREDITS, 2_000_000_000)
    credits_usd: str = usd(_CREDITS, "2.000000000")


class StatementCorrectionAnswer(MonthAmountsAnswer):
    """What a later statement corrects about the month."""

    month: str = Field(description="The later statement's month.", examples=["2026-11"])
    status: str = Field(description="Whether the later statement is `closed` or a `draft`.", examples=["draft"])
    adjustments_nano_usd: int = nano_usd("The part of the usage that is adjustments", 0)
    adjustments_usd: str = usd("The part of the usage that is adjustments", "0.000000000")


class StatementChangesAnswer(Answer):
    """A closed month as it was closed and as it would be computed now, and the statements that carry the difference."""

    account: str = Field(description="The account.", examples=["acme"])
    month: str = Field(description="The closed month.", examples=["2026-10"])
    unchanged: bool = Field(description="Whether nothing has changed.", examples=[False])
    closed: MonthAmountsAnswer = Field(description="As it was closed.", examples=[_AMOUNTS_EXAMPLE])
    now: MonthAmountsAnswer = Field(description="As it would be computed now.", examples=[_AMOUNTS_EXAMPLE])
    plan_terms_changed: bool = Field(
        description="Whether the plan catalog has other terms for the month now. The statement keeps its own.",
        examples=[False],
    )
    corrections: list[StatementCorrectionAnswer] = Field(description="The corrections, by month.", examples=[[]])


def closed_statement_answer(closed: Sequence[Statement]) -> ClosedStatementAnswer:
    """Return the last of the statements that one call closed, with the others as its earlier months."""
    *earlier, statement = closed
    return ClosedStatementAnswer.model_validate(
        {**statement_fields(statement), "closed_earlier": [statement_summary_answer(each) for each in earlier]}
    )


def due_months_answer(closed: Iterable[Statement], failures: Iterable[CloseFailure]) -> DueMonthsAnswer:
    """Return what closing every due month did."""
    return DueMonthsAnswer(
        closed=[statement_summary_answer(each) for each in closed], not_closed=[_failure(each) for each in failures]
    )


def statement_changes_answer(drift: ClosedMonthDrift) -> StatementChangesAnswer:
    """Return how a closed month differs from the month computed now."""
    closed = drift.statement
    return StatementChangesAnswer(
        account=closed.account,
        month=format_month(closed.month),
        unchanged=drift.is_unchanged,
        closed=MonthAmountsAnswer(**amount("usage", drift.closed_usage_nano), **amount("credits", closed.credits.applied_nano)),
        now=MonthAmountsAnswer(**amount("usage", drift.usage_nano), **amount("credits", drift.credits_nano)),
        plan_terms_changed=drift.plan_terms_changed,
        corrections=[_correction(each) for each in drift.corrections],
    )


def _correction(each: StatementCorrection) -> StatementCorrectionAnswer:
    return StatementCorrectionAnswer(
        month=format_month(each.month),
        status="closed" if each.is_closed else "draft",
        **amount("usage", each.usage_nano + each.adjustments_nano),
        **amount("adjustments", each.adjustments_nano),
        **amount("credits", each.credits_nano),
    )


def _failure(failure: CloseFailure) -> CloseFailureAnswer:
    return CloseFailureAnswer(
        account=failure.account, month=format_month(failure.month), code=failure.code, reason=failure.reason
    )
