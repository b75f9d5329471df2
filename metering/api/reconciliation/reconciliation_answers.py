"""Invoices, runs and variances as the API answers them."""

from pydantic import Field

from metering.api.fields import Answer, instant_field, nano_usd, next_cursor_field, usd

_MODEL = "meta-llama/Llama-3.3-70B-Instruct"


class InvoiceAnswer(Answer):
    """What Hugging Face or a provider says is owed, as it was imported."""

    id: int = Field(description="The invoice.", examples=[7])
    account: str = Field(description="Whose it is.", examples=["acme"])
    biller: str = Field(description="Who bills: `huggingface`, or a provider.", examples=["huggingface"])
    provider: str | None = Field(description="The provider whose usage alone it is about; null: all.", examples=[None])
    number: str | None = Field(description="Its own number.", examples=["2026-11-0001"])
    format: str = Field(description="What kind of document it came in.", examples=["hf-usage"])
    file: str | None = Field(description="The name of the file.", examples=["usage.json"])
    grain: str = Field(
        description="How fine its lines are: `request`, `session`, `day`, `model`, `provider` or `total`.",
        examples=["provider"],
    )
    routes: list[str] = Field(description="Which of our usage it bills, by route.", examples=[["routed", "serverless"]])
    period_start: str = instant_field("From when", "2026-11-01T00:00:00.000000Z")
    period_end: str = instant_field("Until when, exclusively", "2026-12-01T00:00:00.000000Z")
    issued_at: str = instant_field("When the biller made it")
    lines: int = Field(description="How many lines it has.", examples=[14])
    lines_nano_usd: int | None = nano_usd("What its lines come to; null where they state no amounts", 26_740_000_000)
    lines_usd: str | None = usd("What its lines come to", "26.740000000")
    total_nano_usd: int | None = nano_usd("The total that it states; null where it states none", 26_740_000_000)
    total_usd: str | None = usd("The total that it states", "26.740000000")
    supersedes: int | None = Field(description="The invoice that it corrects.", examples=[None])
    superseded_by: int | None = Field(description="The invoice that corrects it.", examples=[None])
    notes: list[str] = Field(description="Remarks for whoever imports it.", examples=[[]])
    digest: str = Field(description="SHA-256 of the document.", examples=["9f86d081884c7d65"])
    imported_at: str = instant_field("When it was imported")


class ImportedInvoiceAnswer(Answer):
    """What an import came to."""

    is_new: bool = Field(
        description="Whether it made the invoice: not where the same document was imported before.", examples=[True]
    )
    invoice: InvoiceAnswer = Field(description="The invoice.", examples=[{"id": 7, "account": "acme"}])


class InvoicePage(Answer):
    """A page of invoices, newest first."""

    items: list[InvoiceAnswer] = Field(description="The invoices.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class RunAnswer(Answer):
    """What a run came to."""

    id: int = Field(description="The run.", examples=[3])
    invoice: int = Field(description="The invoice that was held against our usage.", examples=[7])
    run_at: str = instant_field("When it was")
    ours_nano_usd: int = nano_usd("What we metered", 26_740_000_000)
    ours_usd: str = usd("What we metered", "26.740000000")
    theirs_nano_usd: int = nano_usd("What they bill", 27_000_000_000)
    theirs_usd: str = usd("What they bill", "27.000000000")
    difference_nano_usd: int = nano_usd("Theirs less ours", 260_000_000)
    difference_usd: str = usd("Theirs less ours", "0.260000000")
    valued: bool = Field(
        description="Whether theirs are their quantities at our prices: they state no amounts.", examples=[False]
    )
    requests: int = Field(description="How many requests of ours it should bill.", examples=[8819])
    matched_requests: int = Field(description="How many of them a line names.", examples=[8800])
    usage_nano_usd: int = nano_usd("What they bill for usage", 27_000_000_000)
    usage_usd: str = usd("What they bill for usage", "27.000000000")
    matched_nano_usd: int = nano_usd("How much of it was found in our usage", 26_900_000_000)
    matched_usd: str = usd("How much of it was found in our usage", "26.900000000")
    tolerance_nano_usd: int = nano_usd("What may differ in all", 10_000_000)
    tolerance_usd: str = usd("What may differ in all", "0.010000000")


class RunPage(Answer):
    """A page of runs, newest first."""

    items: list[RunAnswer] = Field(description="The runs.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class StepAnswer(Answer):
    """What one cause adds to our figure."""

    cause: str = Field(description="The cause.", examples=["missing_there"])
    items: int = Field(description="In how many differences.", examples=[12])
    amount_nano_usd: int = nano_usd("What it adds", -1_440_000)
    amount_usd: str = usd("What it adds", "-0.001440000")


class VarianceAnswer(Answer):
    """A cause with its amount, and the decision that holds."""

    id: int = Field(description="The variance.", examples=[41])
    cause: str = Field(description="The cause; `unexplained` where none is known.", examples=["quantity"])
    detail: str | None = Field(description="What distinguishes it from others of the cause.", examples=["cached_as_input"])
    provider: str | None = Field(description="At which provider; null: none in particular.", examples=["together"])
    model: str | None = Field(description="Of which model; null: none in particular.", examples=[_MODEL])
    session: str | None = Field(description="Of which session; null: none in particular.", examples=[None])
    basis: str = Field(
        description="`observed` in the lines and the log, or `inferred`: the one explanation that fits.", examples=["inferred"]
    )
    items: int = Field(description="In how many differences.", examples=[12])
    amount_nano_usd: int = nano_usd("Theirs less ours", 1_440_000)
    amount_usd: str = usd("Theirs less ours", "0.001440000")
    tolerated: bool = Field(
        description="Whether it needs nobody: expected, or small together with all that is smaller.", examples=[False]
    )
    alternatives: list[str] = Field(description="Other explanations that fit as well.", examples=[[]])
    state: str = Field(description="`open`, `explained`, `accepted`, `disputed` or `resolved`.", examples=["open"])
    who: str = Field(description="Who decided.", examples=["reconcile"])
    reason: str = Field(description="Why.", examples=["found"])
    decided_at: str = instant_field("When")
    corrected_nano_usd: int = nano_usd("What statements were corrected by for it, in all", 0)
    corrected_usd: str = usd("What statements were corrected by for it", "0.000000000")
    adjustment: str | None = Field(description="The reference of the last correction.", examples=[None])


class ReportAnswer(RunAnswer):
    """A run with its bridge: ours and the steps add up to theirs, exactly."""

    account: str = Field(description="Whose.", examples=["acme"])
    open: int = Field(description="How many variances are open and more than is tolerated.", examples=[1])
    steps: list[StepAnswer] = Field(description="The steps from our figure to theirs.", examples=[[]])
    variances: list[VarianceAnswer] = Field(description="The variances that the steps consist of.", examples=[[]])


class DecisionAnswer(Answer):
    """What somebody decided."""

    state: str = Field(description="The state.", examples=["disputed"])
    who: str = Field(description="Who decided.", examples=["ada"])
    reason: str = Field(description="Why.", examples=["asked them, ticket 4711"])
    decided_at: str = instant_field("When")
    corrected_nano_usd: int = nano_usd("What statements were corrected by, in all", 0)
    corrected_usd: str = usd("What statements were corrected by", "0.000000000")
    adjustment: str | None = Field(description="The reference of the correction.", examples=[None])


class RequestAnswer(Answer):
    """A request of ours; null is what is not known."""

    event_id: str | None = Field(description="Our event.", examples=["req_01"])
    source: str | None = Field(description="Where it was recorded.", examples=["gateway-1"])
    event_time: str | None = instant_field("When it happened")
    provider: str | None = Field(description="Who served it.", examples=["together"])
    model: str | None = Field(description="The model.", examples=[_MODEL])
    request_id: str | None = Field(description="The id that both sides know.", examples=["0-019ff423"])
    input_tokens: int | None = Field(description="Tokens that were not cached.", examples=[1200])
    cache_read_tokens: int | None = Field(description="Cached tokens.", examples=[300])
    output_tokens: int | None = Field(description="Tokens that came out.", examples=[250])
    ours_nano_usd: int | None = nano_usd("What we charge", 120_000)
    ours_usd: str | None = usd("What we charge", "0.000120000")


class EvidenceAnswer(RequestAnswer):
    """One difference that shows a variance: a request, a line, or both; at a coarser grain a sum of requests and a line."""

    line: int | None = Field(description="The line of the document.", examples=[118])
    session: str | None = Field(description="The session that it is about.", examples=[None])
    day: str | None = Field(description="The day (UTC) that it is about.", examples=[None])
    theirs_nano_usd: int | None = nano_usd("What they bill", 0)
    theirs_usd: str | None = usd("What they bill", "0.000000000")
    difference_nano_usd: int = nano_usd("What of the difference it explains", -120_000)
    difference_usd: str = usd("What of the difference it explains", "-0.000120000")


class RequestBehindAnswer(RequestAnswer):
    """A request of ours that would explain a difference of sums."""

    explanation: str = Field(description="What would have to be true.", examples=["failed_billed"])
    explains_nano_usd: int | None = nano_usd("What it adds to the explanation; null: nobody knows", 120_000)
    explains_usd: str | None = usd("What it adds to the explanation", "0.000120000")


class VarianceReportAnswer(VarianceAnswer):
    """A variance with everything that was decided, and some of what shows it."""

    reconciliation: int = Field(description="The run that found it.", examples=[3])
    invoice: int = Field(description="The invoice that it is about.", examples=[7])
    price: str | None = Field(description="The price that would explain it, where it is one.", examples=[None])
    decisions: list[DecisionAnswer] = Field(description="What was decided, oldest first.", examples=[[]])
    evidence: list[EvidenceAnswer] = Field(description="The first differences that show it; all are in the CSV.", examples=[[]])
    requests: list[RequestBehindAnswer] = Field(
        description="Where it is about sums, the first requests of ours that would explain it; all are in the CSV.",
        examples=[[]],
    )
    requests_in_all: int = Field(description="How many such requests there are.", examples=[0])
