"""Answers about reconciliation runs."""

from collections.abc import Mapping

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, usd
from metering.answers.reconciliation.readings import EXAMPLE_READINGS, TotalReadingAnswer, reading_answers
from metering.answers.reconciliation.variances import VarianceAnswer, variance_answer
from metering.domain.instants import format_instant
from metering.domain.reconciliation.records import Reconciliation, ReconciliationReport

EXAMPLE_RUN = {
    "id": 3,
    "invoice": 7,
    "account": "acme",
    "run_at": "2026-12-01T06:00:00.000000Z",
    "ours_nano_usd": 26_740_000_000,
    "ours_usd": "26.740000000",
    "theirs_nano_usd": 27_000_000_000,
    "theirs_usd": "27.000000000",
    "difference_nano_usd": 260_000_000,
    "difference_usd": "0.260000000",
    "valued": False,
    "requests": 8819,
    "matched_requests": 8800,
    "usage_nano_usd": 27_000_000_000,
    "usage_usd": "27.000000000",
    "matched_nano_usd": 26_900_000_000,
    "matched_usd": "26.900000000",
    "tolerance_nano_usd": 10_000_000,
    "tolerance_usd": "0.010000000",
    "reading": None,
    "readings": [],
}


class ReconciliationRunAnswer(Answer):
    """The sums of one reconciliation of an invoice with metered usage."""

    id: int = Field(description="The run.", examples=[3])
    invoice: int = Field(description="The invoice that was reconciled.", examples=[7])
    account: str = Field(description="The account of the invoice.", examples=["acme"])
    run_at: str = instant_field("When it ran")
    ours_nano_usd: int = nano_usd("The metered amount", 26_740_000_000)
    ours_usd: str = usd("The metered amount", "26.740000000")
    theirs_nano_usd: int = nano_usd("The billed amount", 27_000_000_000)
    theirs_usd: str = usd("The billed amount", "27.000000000")
    difference_nano_usd: int = nano_usd("The billed amount less the metered one", 260_000_000)
    difference_usd: str = usd("The billed amount less the metered one", "0.260000000")
    valued: bool = Field(
        description="Whether the billed amount is the billed quantities at your prices, because the invoice states no amounts.",
        examples=[False],
    )
    requests: int = Field(description="Number of metered requests that the invoice should bill.", examples=[8819])
    matched_requests: int = Field(description="Number of them that a line names.", examples=[8800])
    usage_nano_usd: int = nano_usd("The amount billed for usage", 27_000_000_000)
    usage_usd: str = usd("The amount billed for usage", "27.000000000")
    matched_nano_usd: int = nano_usd("The part of it that was found in metered usage", 26_900_000_000)
    matched_usd: str = usd("The part of it that was found in metered usage", "26.900000000")
    tolerance_nano_usd: int = nano_usd("The tolerated difference in all", 10_000_000)
    tolerance_usd: str = usd("The tolerated difference in all", "0.010000000")
    reading: str | None = Field(
        description="What a pasted total is compared with, `statement` or `usage`; null if none was chosen.", examples=[None]
    )
    readings: list[TotalReadingAnswer] = Field(
        description="A pasted total compared with our statement and with our usage; empty for other invoices.",
        examples=[EXAMPLE_READINGS],
    )


class ReconciliationRunPage(Page):
    """A page of runs, newest first."""

    items: list[ReconciliationRunAnswer] = Field(description="The runs, without their variances.", examples=[[EXAMPLE_RUN]])


class BridgeStepAnswer(Answer):
    """What one cause adds to the metered amount."""

    cause: str = Field(description="The cause.", examples=["missing_there"])
    items: int = Field(description="Number of differences with this cause.", examples=[12])
    amount_nano_usd: int = nano_usd("What it adds", -1_440_000)
    amount_usd: str = usd("What it adds", "-0.001440000")


class ReconciliationAnswer(ReconciliationRunAnswer):
    """A run with its bridge: the metered amount and the steps add up to the billed amount exactly."""

    open: int = Field(description="Number of variances that are open and not tolerated.", examples=[1])
    steps: list[BridgeStepAnswer] = Field(
        description="The steps from the metered to the billed amount.",
        examples=[[{"cause": "missing_there", "items": 12, "amount_nano_usd": -1_440_000, "amount_usd": "-0.001440000"}]],
    )
    variances: list[VarianceAnswer] = Field(description="The variances that the steps consist of.", examples=[[]])


class ReconciliationPage(Page):
    """Several runs with their bridges."""

    items: list[ReconciliationAnswer] = Field(description="The runs.", examples=[[]])


def reconciliation_run_answer(run: Reconciliation, names: Mapping[int, str]) -> ReconciliationRunAnswer:
    """Return the sums of a run; ``names`` are account names by id."""
    return ReconciliationRunAnswer.model_validate(_run_fields(run, names))


def reconciliation_answer(report: ReconciliationReport, names: Mapping[int, str]) -> ReconciliationAnswer:
    """Return a run with its bridge and variances; ``names`` are account names by id."""
    steps = [
        BridgeStepAnswer(cause=str(step.cause), items=step.items, **amount("amount", step.amount_nano))
        for step in report.bridge.steps
    ]
    return ReconciliationAnswer.model_validate(
        {
            **_run_fields(report.run, names),
            "open": len(report.needs_attention),
            "steps": steps,
            "variances": [variance_answer(each) for each in report.variances],
        }
    )


def _run_fields(run: Reconciliation, names: Mapping[int, str]) -> dict[str, object]:
    return {
        "id": run.id,
        "invoice": run.invoice_id,
        "account": names[run.account_id],
        "run_at": format_instant(run.run_at),
        **amount("ours", run.ours_nano),
        **amount("theirs", run.theirs_nano),
        **amount("difference", run.theirs_nano - run.ours_nano),
        "valued": run.valued,
        "requests": run.requests,
        "matched_requests": run.matched_requests,
        **amount("usage", run.usage_nano),
        **amount("matched", run.matched_nano),
        **amount("tolerance", run.tolerance_nano),
        "reading": run.reading or None,
        "readings": reading_answers(run.readings),
    }
