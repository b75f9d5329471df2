"""Answers about re-rating."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, optional_instant, usd
from metering.domain.charges.rerating import RerateGroup, RerateResult, RerateRun, RerateSummary, RerateTotals
from metering.domain.instants import format_instant, format_month

MODEL_EXAMPLE = "meta-llama/Llama-3.3-70B-Instruct"

_TOTALS = {
    "events": 1200,
    "before_nano_usd": 1_056_000_000,
    "before_usd": "1.056000000",
    "after_nano_usd": 1_248_000_000,
    "after_usd": "1.248000000",
    "difference_nano_usd": 192_000_000,
    "difference_usd": "0.192000000",
}

Names = Mapping[int, str]
"""Names of accounts by ID."""


class RerateTotalsAnswer(Answer):
    """Charges that change, and their sums before and after. Charges that stay the same are not included."""

    events: int = Field(description="Number of charges with a different price.", examples=[1200])
    before_nano_usd: int = nano_usd("The sum before", 1_056_000_000)
    before_usd: str = usd("The sum before", "1.056000000")
    after_nano_usd: int = nano_usd("The sum after", 1_248_000_000)
    after_usd: str = usd("The sum after", "1.248000000")
    difference_nano_usd: int = nano_usd("After less before", 192_000_000)
    difference_usd: str = usd("After less before", "0.192000000")


class RerateEffectAnswer(RerateTotalsAnswer):
    """Changes for one account, model and month."""

    account: str = Field(description="The account.", examples=["acme"])
    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(
        description="The model; `(other)` where the account has too many series to keep it.", examples=[MODEL_EXAMPLE]
    )
    month: str = Field(description="The month of the requests.", examples=["2026-11"])


class RerateRunAnswer(Answer):
    """A re-rating run. Counts and sums cover the charges that it has examined."""

    id: int = Field(
        description="The run, which its charges refer to. `metering rerate --resume` continues an interrupted one.",
        examples=[3],
    )
    reason: str = Field(
        description="The reason, which every charge of the run repeats.", examples=["the contract's prices were recorded late"]
    )
    requested_at: str = instant_field("When it was started")
    finished_at: str | None = instant_field("When it finished; null: not finished")
    account: str | None = Field(description="The account; null: all.", examples=["acme"])
    start: str = instant_field("Start of the period of the requests", "2026-11-01T00:00:00.000000Z")
    end: str = instant_field("End of the period, exclusive", "2026-12-01T00:00:00.000000Z")
    provider: str | None = Field(description="The provider; null: all.", examples=[None])
    model: str | None = Field(description="The model; null: all.", examples=[None])
    include_reported: bool = Field(description="Whether costs that the provider reported are replaced, too.", examples=[False])
    events_examined: int = Field(description="Number of charges that were examined.", examples=[48_000])
    events_changed: int = Field(description="Number of charges that were replaced.", examples=[1200])
    events_kept: int = Field(
        description="Number of charges that were kept because no price is known for them anymore.", examples=[0]
    )
    before_nano_usd: int = nano_usd("The sum of the replaced charges", 1_056_000_000)
    before_usd: str = usd("The sum of the replaced charges", "1.056000000")
    after_nano_usd: int = nano_usd("The sum of the new charges", 1_248_000_000)
    after_usd: str = usd("The sum of the new charges", "1.248000000")
    difference_nano_usd: int = nano_usd("After less before", 192_000_000)
    difference_usd: str = usd("After less before", "0.192000000")


class RerateRunPage(Page):
    """Re-rating runs, oldest first."""

    items: list[RerateRunAnswer] = Field(description="The runs.", examples=[[]])


class RerateAnswer(Answer):
    """Changes to charges: a preview, or those that a run has just made."""

    applied: bool = Field(description="Whether the changes were written.", examples=[False])
    run: RerateRunAnswer | None = Field(description="The run that wrote them; null for a preview.", examples=[None])
    events_examined: int = Field(description="Number of charges that were examined.", examples=[48_000])
    events_kept: int = Field(
        description="Number of charges that are kept because no price is known for them anymore.", examples=[0]
    )
    effects: list[RerateEffectAnswer] = Field(
        description="The changes, by account, provider, model and month.",
        examples=[[{"account": "acme", "provider": "together", "model": MODEL_EXAMPLE, "month": "2026-11", **_TOTALS}]],
    )
    total: RerateTotalsAnswer = Field(description="All changes.", examples=[_TOTALS])


def rerate_preview_answer(found: RerateSummary, names: Names) -> RerateAnswer:
    """Return the changes that a run would make."""
    return _rerate_answer(found, None, names)


def rerate_result_answer(result: RerateResult, names: Names) -> RerateAnswer:
    """Return the changes that a run has just made."""
    return _rerate_answer(result.done_now, result.run, names)


def rerate_run_page(runs: Sequence[RerateRun], names: Names) -> RerateRunPage:
    """Return all runs as one page."""
    return RerateRunPage(items=[_run(run, names) for run in runs], next_cursor=None)


def _rerate_answer(found: RerateSummary, run: RerateRun | None, names: Names) -> RerateAnswer:
    effects = [_effect(group, totals, names) for group, totals in found.by_group.items()]
    return RerateAnswer(
        applied=run is not None,
        run=None if run is None else _run(run, names),
        events_examined=found.examined,
        events_kept=found.kept,
        effects=sorted(effects, key=lambda each: (each.account, each.provider, each.model, each.month)),
        total=RerateTotalsAnswer.model_validate(_totals(found.total)),
    )


def _effect(group: RerateGroup, totals: RerateTotals, names: Names) -> RerateEffectAnswer:
    return RerateEffectAnswer.model_validate(
        {
            "account": names[group.account_id],
            "provider": group.provider,
            "model": group.model,
            "month": format_month(group.month),
            **_totals(totals),
        }
    )


def _totals(totals: RerateTotals) -> dict[str, Any]:
    return {"events": totals.events, **_amounts(totals.before_nano, totals.after_nano)}


def _amounts(before_nano: int, after_nano: int) -> dict[str, Any]:
    return {
        **amount("before", before_nano),
        **amount("after", after_nano),
        **amount("difference", after_nano - before_nano),
    }


def _run(run: RerateRun, names: Names) -> RerateRunAnswer:
    scope = run.scope
    return RerateRunAnswer(
        id=run.id,
        reason=run.reason,
        requested_at=format_instant(run.requested_at),
        finished_at=optional_instant(run.finished_at),
        account=None if scope.account_id is None else names[scope.account_id],
        start=format_instant(scope.start),
        end=format_instant(scope.end),
        provider=scope.provider,
        model=scope.model,
        include_reported=scope.include_reported,
        events_examined=run.events_examined,
        events_changed=run.events_changed,
        events_kept=run.events_kept,
        **_amounts(run.before_nano, run.after_nano),
    )
