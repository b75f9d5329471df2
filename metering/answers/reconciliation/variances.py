"""Answers about variances, their evidence and the decisions on them."""

from pydantic import Field

from metering.answers.fields import Answer, amount, instant_field, nano_usd, optional_instant, usd
from metering.domain.instants import format_instant
from metering.domain.reconciliation.descriptions import describe_day
from metering.domain.reconciliation.records import Decision, Evidence, Variance, VarianceExplanation

_MODEL = "meta-llama/Llama-3.3-70B-Instruct"


class VarianceDecisionAnswer(Answer):
    """A decision on a variance."""

    state: str = Field(description="`open`, `explained`, `accepted`, `disputed` or `resolved`.", examples=["disputed"])
    who: str = Field(description="Who decided; `reconcile` for the state that the run itself set.", examples=["ada"])
    reason: str = Field(description="The reason.", examples=["asked them, ticket 4711"])
    decided_at: str = instant_field("When it was decided")
    corrected_nano_usd: int = nano_usd("Sum of the corrections to statements for it", 0)
    corrected_usd: str = usd("Sum of the corrections to statements for it", "0.000000000")
    adjustment: str | None = Field(description="Reference of the latest correction; null if not corrected.", examples=[None])


class VarianceFindingAnswer(Answer):
    """What a run found: a cause with its amount."""

    id: int = Field(description="The variance.", examples=[41])
    cause: str = Field(description="The cause; `unexplained` if none is known.", examples=["quantity"])
    detail: str | None = Field(description="What distinguishes it from others of the same cause.", examples=["cached_as_input"])
    provider: str | None = Field(description="The provider; null: none in particular.", examples=["together"])
    model: str | None = Field(description="The model; null: none in particular.", examples=[_MODEL])
    session: str | None = Field(description="The session; null: none in particular.", examples=[None])
    basis: str = Field(
        description="`observed` in the lines and the log, or `inferred`: the only explanation that fits.",
        examples=["inferred"],
    )
    items: int = Field(description="Number of differences it consists of.", examples=[12])
    amount_nano_usd: int = nano_usd("The billed amount less the metered one", 1_440_000)
    amount_usd: str = usd("The billed amount less the metered one", "0.001440000")
    tolerated: bool = Field(
        description="Whether it needs no attention: expected, or within the tolerance together with all smaller ones.",
        examples=[False],
    )
    alternatives: list[str] = Field(description="Other explanations that fit as well.", examples=[["price:rate 12"]])


class VarianceAnswer(VarianceDecisionAnswer, VarianceFindingAnswer):
    """A cause with its amount, and the latest decision on it."""


class MeteredRequestAnswer(Answer):
    """A metered request; null where a value is not known."""

    event_id: str | None = Field(description="The event.", examples=["req_01"])
    source: str | None = Field(description="The source that recorded it.", examples=["gateway-1"])
    event_time: str | None = instant_field("When the request started")
    provider: str | None = Field(description="The provider that served it.", examples=["together"])
    model: str | None = Field(description="The model.", examples=[_MODEL])
    request_id: str | None = Field(description="The ID that both sides know.", examples=["0-019ff423"])
    input_tokens: int | None = Field(description="Input tokens that were not cached.", examples=[1200])
    cache_read_tokens: int | None = Field(description="Cached input tokens.", examples=[300])
    output_tokens: int | None = Field(description="Output tokens.", examples=[250])
    ours_nano_usd: int | None = nano_usd("The metered amount", 120_000)
    ours_usd: str | None = usd("The metered amount", "0.000120000")


class EvidenceAnswer(MeteredRequestAnswer):
    """One difference of a variance: a request, a line, or both; at a coarser grain a sum of requests and a line."""

    line: int | None = Field(description="The line of the document.", examples=[118])
    session: str | None = Field(description="The session it is about.", examples=[None])
    day: str | None = Field(description="The day (UTC) it is about.", examples=[None])
    theirs_nano_usd: int | None = nano_usd("The billed amount", 0)
    theirs_usd: str | None = usd("The billed amount", "0.000000000")
    difference_nano_usd: int = nano_usd("The part of the variance that it explains", -120_000)
    difference_usd: str = usd("The part of the variance that it explains", "-0.000120000")


class ContributingRequestAnswer(MeteredRequestAnswer):
    """A metered request that would explain a difference of sums."""

    explanation: str = Field(description="The explanation it belongs to.", examples=["failed_billed"])
    explains_nano_usd: int | None = nano_usd("What it adds to the explanation; null if unknown", 120_000)
    explains_usd: str | None = usd("What it adds to the explanation; null if unknown", "0.000120000")


class ExplainedVarianceAnswer(VarianceAnswer):
    """A variance with all decisions on it, and some of its evidence."""

    reconciliation: int = Field(description="The run that found it.", examples=[3])
    invoice: int = Field(description="The invoice it is about.", examples=[7])
    price: str | None = Field(description="The price that would explain it; null if it is not about a price.", examples=[None])
    decisions: list[VarianceDecisionAnswer] = Field(
        description="The decisions, oldest first.",
        examples=[
            [
                {
                    "state": "open",
                    "who": "reconcile",
                    "reason": "found",
                    "decided_at": "2026-12-01T06:00:00.000000Z",
                    "corrected_nano_usd": 0,
                    "corrected_usd": "0.000000000",
                    "adjustment": None,
                }
            ]
        ],
    )
    evidence: list[EvidenceAnswer] = Field(description="Its first differences; the CSV has all of them.", examples=[[]])
    requests: list[ContributingRequestAnswer] = Field(
        description="For a variance of sums, the first metered requests that would explain it; the CSV has all of them.",
        examples=[[]],
    )
    requests_in_all: int = Field(description="Number of such requests.", examples=[0])


def variance_answer(variance: Variance) -> VarianceAnswer:
    """Return a variance with the latest decision on it."""
    return VarianceAnswer.model_validate(_variance_fields(variance))


def explained_variance_answer(explanation: VarianceExplanation) -> ExplainedVarianceAnswer:
    """Return a variance with its decisions and evidence."""
    history = explanation.history
    return ExplainedVarianceAnswer.model_validate(
        {
            **_variance_fields(history.variance),
            "reconciliation": history.run.id,
            "invoice": history.invoice.id,
            "price": explanation.price,
            "decisions": [_decision_fields(each) for each in history.decisions],
            "evidence": [_evidence_fields(each) for each in explanation.evidence],
            "requests": [_contributing_request_fields(each) for each in explanation.requests],
            "requests_in_all": explanation.requests_in_all,
        }
    )


def _variance_fields(variance: Variance) -> dict[str, object]:
    return {
        "id": variance.id,
        "cause": variance.cause,
        "detail": variance.detail or None,
        "provider": variance.provider or None,
        "model": variance.model or None,
        "session": variance.session or None,
        "basis": variance.basis,
        "items": variance.items,
        **amount("amount", variance.amount_nano),
        "tolerated": variance.tolerated,
        "alternatives": list(variance.alternatives),
        **_decision_fields(variance),
    }


def _decision_fields(decision: Decision | Variance) -> dict[str, object]:
    return {
        "state": decision.state,
        "who": decision.who,
        "reason": decision.reason,
        "decided_at": format_instant(decision.decided_at),
        **amount("corrected", decision.corrected_nano),
        "adjustment": decision.adjustment or None,
    }


def _evidence_fields(item: Evidence) -> dict[str, object]:
    return {
        **_request_fields(item),
        "line": item.line,
        "session": item.session or None,
        "day": describe_day(item.day) or None,
        **amount("theirs", item.theirs_nano),
        **amount("difference", item.amount_nano),
    }


def _contributing_request_fields(item: Evidence) -> dict[str, object]:
    return {**_request_fields(item), "explanation": item.explanation, **amount("explains", item.amount_nano)}


def _request_fields(item: Evidence) -> dict[str, object]:
    return {
        "event_id": item.event_id or None,
        "source": item.source or None,
        "event_time": optional_instant(item.event_time),
        "provider": item.provider or None,
        "model": item.model or None,
        "request_id": item.request_id or None,
        "input_tokens": item.input_tokens,
        "cache_read_tokens": item.cache_read_tokens,
        "output_tokens": item.output_tokens,
        **amount("ours", item.ours_nano),
    }
