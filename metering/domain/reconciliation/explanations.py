"""An explanation: one or two parts, each a cause with a detail, that a hypothesis puts forward for an amount."""

from typing import NamedTuple

from metering.domain.reconciliation.causes import ORDER, Cause


class Part(NamedTuple):
    """A cause, and what distinguishes it from others of its kind: ``cached_as_input``, ``rate 12``, ``+2 h``."""

    cause: Cause
    detail: str = ""


Explanation = tuple[Part, ...]
"""What would have to be true, all of it."""


class Candidate(NamedTuple):
    """An explanation and what each of its parts would add to our figure, nano-USD."""

    explanation: Explanation
    amounts: tuple[int, ...]

    @property
    def total(self) -> int:
        """All that it would add."""
        return sum(self.amounts)


def in_order(explanation: Explanation) -> tuple[int, tuple[tuple[int, str], ...]]:
    """Say which explanation comes first where two fit equally well: the shorter, then by cause."""
    return len(explanation), tuple((ORDER.index(part.cause), part.detail) for part in explanation)


def written(explanation: Explanation) -> str:
    """Write an explanation as a stable text: ``quantity:cached_as_input+price:rate 12``."""
    return "+".join(f"{part.cause}:{part.detail}" if part.detail else part.cause for part in explanation)


def combined(first: Candidate, second: Candidate) -> Candidate:
    """Return what two candidates say together."""
    return Candidate((*first.explanation, *second.explanation), (*first.amounts, *second.amounts))


def fitting(candidates: list[Candidate], difference: int, bound: int) -> list[Candidate]:
    """Return the candidates that come within ``bound`` of a difference: single ones, else pairs of different causes."""
    alone = [each for each in candidates if each.amounts[0] and abs(each.total - difference) <= bound]
    if alone:
        return alone
    return [
        combined(first, second)
        for at, first in enumerate(candidates)
        for second in candidates[at + 1 :]
        if first.explanation[0].cause is not second.explanation[0].cause
        and first.amounts[0]
        and second.amounts[0]
        and abs(first.total + second.total - difference) <= bound
    ]
