"""Answers about spend."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from metering.answers.fields import Answer, PossibleCostFields, amount, instant_field, nano_usd, possible_amounts, usd
from metering.domain.charges.spend import Granularity, PeriodBasis, SpendQuery, SpendRow, SpendSort, ordered, total_of
from metering.domain.instants import format_instant
from pricing.quantities import ALL_KINDS

PERIOD_BASIS = (
    "What assigns a charge to a period: the time of its `event`, or the month it is billed in (`billing`, whole months only)."
)
SORT = (
    "Order of the rows: by `period` and group, or the largest first by `usd`, `requests` or `tokens`. Default: `period`, with"
    " `top` `usd`."
)
TOP = "Only so many rows, after sorting; the total still covers all."
GRANULARITY = "Length of the rows' periods, in UTC; `total` is the whole period."

_QUANTITIES = {"input_tokens": 1_000_000, "output_tokens": 250_000}
_SUMS = {
    "events": 30,
    "failed_events": 1,
    "unpriced_events": 0,
    "unpriced_tokens": 0,
    "quantities": _QUANTITIES,
    "amount_nano_usd": 27_000_000_000,
    "amount_usd": "27.000000000",
    "possible_events": 0,
    "possible_least_nano_usd": None,
    "possible_least_usd": None,
    "possible_most_nano_usd": None,
    "possible_most_usd": None,
}


class SpendSumsAnswer(PossibleCostFields):
    """Sums of requests, their quantities and their charges."""

    events: int = Field(description="Number of requests.", examples=[30])
    failed_events: int = Field(description="Number of requests that failed and cost nothing.", examples=[1])
    unpriced_events: int = Field(
        description="Number of requests that are not priced yet; they are not in the amount.", examples=[0]
    )
    unpriced_tokens: int = Field(description="Number of tokens of unpriced requests.", examples=[0])
    quantities: dict[str, int] = Field(
        description="Quantities by kind, in disjoint buckets (`reasoning_tokens` is part of `output_tokens`), without zeros.",
        examples=[_QUANTITIES],
    )
    amount_nano_usd: int = nano_usd("The sum of the charges that are priced", 27_000_000_000)
    amount_usd: str = usd("The sum of the charges that are priced", "27.000000000")


class SpendRowAnswer(SpendSumsAnswer):
    """The spend of one group in one period."""

    group: dict[str, str] = Field(
        description="The values of `group_by`; empty where the record did not state one.", examples=[{"provider": "together"}]
    )
    period_start: str = instant_field(
        "Start of the row's hour, day or month; with granularity `total`, start of the query's period",
        "2026-11-01T00:00:00.000000Z",
    )


class SpendAnswer(Answer):
    """Spend by group and period. By default, rows are ordered by period, then by the values of `group_by`."""

    account: str | None = Field(description="The account; null: all.", examples=["acme"])
    start: str = instant_field("Start of the period", "2026-11-01T00:00:00.000000Z")
    end: str = instant_field("End of the period, exclusive", "2026-12-01T00:00:00.000000Z")
    period_basis: PeriodBasis = Field(description=PERIOD_BASIS, examples=["event"])
    granularity: Granularity = Field(description=GRANULARITY, examples=["total"])
    group_by: list[str] = Field(description="The dimensions that rows are grouped by.", examples=[["provider"]])
    rows: list[SpendRowAnswer] = Field(
        description="One row per group and period with usage.",
        examples=[[{"group": {"provider": "together"}, "period_start": "2026-11-01T00:00:00.000000Z", **_SUMS}]],
    )
    total: SpendSumsAnswer = Field(description="The sum of all rows, with those that `top` leaves out.", examples=[_SUMS])


def spend_answer(
    query: SpendQuery, rows: Sequence[SpendRow], account: str | None, *, sort: SpendSort | None = None, top: int | None = None
) -> SpendAnswer:
    """Return the result of a query; ``account`` is the name of the account, None: all.

    With ``top`` only so many rows; by default the largest.
    """
    shown = ordered(rows, sort or (SpendSort.PERIOD if top is None else SpendSort.USD), top)
    return SpendAnswer(
        account=account,
        start=format_instant(query.start),
        end=format_instant(query.end),
        period_basis=query.period_basis,
        granularity=query.granularity,
        group_by=list(query.group_by),
        rows=[_row(row, query.group_by) for row in shown],
        total=SpendSumsAnswer.model_validate(_sums(total_of(rows, query))),
    )


def _row(row: SpendRow, group_by: tuple[str, ...]) -> SpendRowAnswer:
    return SpendRowAnswer.model_validate(
        {
            "group": dict(zip(group_by, row.group, strict=True)),
            "period_start": format_instant(row.period_start),
            **_sums(row),
        }
    )


def _sums(row: SpendRow) -> dict[str, Any]:
    quantities = {kind: getattr(row.quantities, kind) for kind in ALL_KINDS}
    return {
        "events": row.events,
        "failed_events": row.failed_events,
        "unpriced_events": row.unpriced_events,
        "unpriced_tokens": row.unpriced_tokens,
        "quantities": {kind: count for kind, count in quantities.items() if count},
        **amount("amount", row.amount_nano),
        **possible_amounts(row.possible),
    }
