"""What answers have in common: how amounts and instants are written, and pages.

An amount has two fields: whole nano-USD (1e-9 dollars) and the same as a decimal string of dollars. Instants are RFC 3339 in
UTC with microseconds.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from metering.domain.instants import format_instant
from pricing.dollars import format_nano
from pricing.possible import PossibleCost


class Answer(BaseModel):
    """An answer. Later releases may add fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Answer):
    """A page of a list. A subclass has ``items``."""

    next_cursor: str | None = Field(
        description="Pass it as `cursor`, with the same parameters, for the next page; null on the last.",
        examples=["qT1vW3hPWzE3OTM2NDI1MDAxMjM0NTYsMV0"],
    )


def nano_usd(what: str, example: int | None = 860_000) -> Any:
    """Describe a field of whole nano-USD."""
    return Field(description=f"{what}, in whole nano-USD (1e-9 dollars).", examples=[example])


def usd(what: str, example: str | None = "0.000860000") -> Any:
    """Describe a field of dollars as a decimal string."""
    return Field(description=f"{what}, in dollars, exactly.", examples=[example])


def instant_field(what: str, example: str | None = "2026-11-03T10:15:00.123456Z") -> Any:
    """Describe a field that holds an instant."""
    return Field(description=f"{what} (UTC).", examples=[example])


def amount(name: str, nano: int | None) -> dict[str, Any]:
    """Return an amount's two fields, ``<name>_nano_usd`` and ``<name>_usd``; null where it is not known."""
    return {f"{name}_nano_usd": nano, f"{name}_usd": None if nano is None else format_nano(nano)}


def possible_field(what: str, example: int | str | None) -> Any:
    """Describe a field of what unpriced usage may have cost; ``what`` is the least or the most."""
    unit = "dollars" if isinstance(example, str) else "whole nano-USD (1e-9 dollars)"
    return Field(
        description=f"{what} that unpriced requests without a provider or a route may have cost, by what their model's partners"
        f" charged then, in {unit}. Never part of an amount; null: not known.",
        examples=[example],
    )


def possible_amounts(possible: PossibleCost | None) -> dict[str, Any]:
    """Return the fields of what unpriced usage may have cost."""
    return {
        "possible_events": 0 if possible is None else possible.events,
        **amount("possible_least", None if possible is None else possible.least_nano),
        **amount("possible_most", None if possible is None else possible.most_nano),
    }


class PossibleCostFields(Answer):
    """What unpriced usage may have cost."""

    possible_events: int = Field(description="Number of unpriced requests that the possible amounts are about.", examples=[0])
    possible_least_nano_usd: int | None = possible_field("The least", 1_100_000)
    possible_least_usd: str | None = possible_field("The least", "0.001100000")
    possible_most_nano_usd: int | None = possible_field("The most", 2_400_000)
    possible_most_usd: str | None = possible_field("The most", "0.002400000")


def optional_instant(micros: int | None) -> str | None:
    """Write an instant; None stays None."""
    return None if micros is None else format_instant(micros)
