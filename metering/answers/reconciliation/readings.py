"""Answers about what a pasted total adds up."""

from collections.abc import Iterable

from pydantic import Field

from metering.answers.fields import Answer, amount, nano_usd, usd
from metering.domain.reconciliation.readings import ReadTotal

EXAMPLE_READINGS = [
    {
        "reading": "statement",
        "ours_nano_usd": 33_740_000_000,
        "ours_usd": "33.740000000",
        "difference_nano_usd": 260_000_000,
        "difference_usd": "0.260000000",
    },
    {
        "reading": "usage",
        "ours_nano_usd": 26_740_000_000,
        "ours_usd": "26.740000000",
        "difference_nano_usd": 7_260_000_000,
        "difference_usd": "7.260000000",
    },
]


class TotalReadingAnswer(Answer):
    """A pasted total compared with ours under one reading."""

    reading: str = Field(
        description="What the total adds up: the whole `statement` (usage, fees, credits, rounding), or `usage` alone.",
        examples=["statement"],
    )
    ours_nano_usd: int = nano_usd("Our amount", 33_740_000_000)
    ours_usd: str = usd("Our amount", "33.740000000")
    difference_nano_usd: int = nano_usd("Their total less our amount", 260_000_000)
    difference_usd: str = usd("Their total less our amount", "0.260000000")


def reading_answers(readings: Iterable[ReadTotal]) -> list[TotalReadingAnswer]:
    """Return a total under its readings."""
    return [
        TotalReadingAnswer.model_validate(
            {"reading": str(each.reading), **amount("ours", each.ours_nano), **amount("difference", each.difference_nano)}
        )
        for each in readings
    ]
