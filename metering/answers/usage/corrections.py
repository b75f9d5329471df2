"""Answers about correcting and withdrawing usage."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, optional_instant, usd
from metering.answers.usage.events import MODEL_EXAMPLE
from metering.domain.charges.corrections import CorrectedUsage, CorrectionRun, CorrectionSummary, RunKind
from metering.domain.instants import format_instant, format_month

_TOTALS = {
    "events": 1200,
    "unpriced_before": 1200,
    "unpriced_after": 0,
    "before_nano_usd": 0,
    "before_usd": "0.000000000",
    "after_nano_usd": 1_056_000_000,
    "after_usd": "1.056000000",
}
Names = Mapping[int, str]
"""Names of accounts by ID."""


class CorrectedUsageAnswer(Answer):
    """Requests that change. Requests that stay the same are not included."""

    events: int = Field(description="Number of requests.", examples=[1200])
    unpriced_before: int = Field(description="Number of them without a price before.", examples=[1200])
    unpriced_after: int = Field(description="Number of them without a price after.", examples=[0])
    before_nano_usd: int = nano_usd("Their charges before", 0)
    before_usd: str = usd("Their charges before", "0.000000000")
    after_nano_usd: int = nano_usd("Their charges after", 1_056_000_000)
    after_usd: str = usd("Their charges after", "1.056000000")


class CorrectedGroupAnswer(CorrectedUsageAnswer):
    """Requests that change, of one provider, model, route and month."""

    provider: str = Field(description="The provider before the change.", examples=["unknown"])
    model: str = Field(description="The model before the change.", examples=[MODEL_EXAMPLE])
    route: str = Field(description="The billing route before the change.", examples=["unknown"])
    month: str = Field(description="The month of the requests.", examples=["2026-11"])


class CorrectionRunAnswer(Answer):
    """A run that corrected, withdrew or restored usage. Counts and sums cover the requests up to where it is."""

    id: int = Field(description="The run, which its charges refer to.", examples=[4])
    kind: RunKind = Field(description="`correct`, `withdraw`, or `restore`, which undoes a withdrawal.", examples=["correct"])
    account: str = Field(description="The account.", examples=["acme"])
    start: str | None = Field(description="Start of the period of the requests; null: no limit.", examples=[None])
    end: str | None = Field(description="End of the period, exclusive; null: no limit.", examples=[None])
    source: str | None = Field(description="The source of the records; null: any.", examples=["openai.ndjson"])
    where: dict[str, str] = Field(description="What the requests had to be recorded with.", examples=[{"provider": "unknown"}])
    changes: dict[str, str] = Field(
        description="The new values; empty for a withdrawal and for a run that undoes another.",
        examples=[{"provider": "together", "route": "routed"}],
    )
    undoes: int | None = Field(description="The run that this one undoes; null: none.", examples=[None])
    reason: str = Field(description="The reason, which every charge of the run repeats.", examples=["no provider was logged"])
    requested_at: str = instant_field("When it was started")
    finished_at: str | None = instant_field("When it finished; null: not finished")
    events_changed: int = Field(description="Number of requests that changed.", examples=[1200])
    events_kept: int = Field(
        description="Number of requests that were kept: withdrawn ones that another source recorded too, or ones that changed"
        " again since the run that is undone.",
        examples=[0],
    )
    before_nano_usd: int = nano_usd("Their charges before", 0)
    before_usd: str = usd("Their charges before", "0.000000000")
    after_nano_usd: int = nano_usd("Their charges after", 1_056_000_000)
    after_usd: str = usd("Their charges after", "1.056000000")


class CorrectionRunPage(Page):
    """Correction runs, oldest first."""

    items: list[CorrectionRunAnswer] = Field(description="The runs.", examples=[[]])


class CorrectionAnswer(Answer):
    """What a correction or withdrawal changed, or would change."""

    applied: bool = Field(description="Whether it was written; false for a preview.", examples=[False])
    run: CorrectionRunAnswer | None = Field(description="The run that wrote it; null for a preview.", examples=[None])
    changed: list[CorrectedGroupAnswer] = Field(
        description="The requests that change, by provider, model, route and month.",
        examples=[[{"provider": "unknown", "model": MODEL_EXAMPLE, "route": "unknown", "month": "2026-11", **_TOTALS}]],
    )
    total: CorrectedUsageAnswer = Field(description="All requests that change.", examples=[_TOTALS])
    events_kept: int = Field(description="Number of requests in the scope that are kept (see the run).", examples=[0])


def correction_answer(found: CorrectionSummary, run: CorrectionRun | None, names: Names) -> CorrectionAnswer:
    """Return what a run changed just now, or would change (``run`` None)."""
    groups = [
        CorrectedGroupAnswer.model_validate(
            {
                "provider": group.provider,
                "model": group.model,
                "route": group.route,
                "month": format_month(group.month),
                **_sums(usage),
            }
        )
        for group, usage in sorted(found.by_group.items())
    ]
    return CorrectionAnswer(
        applied=run is not None,
        run=None if run is None else correction_run_answer(run, names),
        changed=groups,
        total=CorrectedUsageAnswer.model_validate(_sums(found.total)),
        events_kept=found.kept,
    )


def correction_run_answer(run: CorrectionRun, names: Names) -> CorrectionRunAnswer:
    """Return a run."""
    scope = run.scope
    return CorrectionRunAnswer(
        id=run.id,
        kind=run.kind,
        account=names[scope.account_id],
        start=optional_instant(scope.start),
        end=optional_instant(scope.end),
        source=scope.source,
        where=dict(scope.where),
        changes=dict(run.changes.values),
        undoes=run.undoes,
        reason=run.reason,
        requested_at=format_instant(run.requested_at),
        finished_at=optional_instant(run.finished_at),
        events_changed=run.events_changed,
        events_kept=run.events_kept,
        **amount("before", run.before_nano),
        **amount("after", run.after_nano),
    )


def _sums(usage: CorrectedUsage) -> dict[str, Any]:
    return {
        "events": usage.events,
        "unpriced_before": usage.unpriced_before,
        "unpriced_after": usage.unpriced_after,
        **amount("before", usage.before_nano),
        **amount("after", usage.after_nano),
    }
