"""An explanation: one or two parts, each a cause with a detail, that a hypothesis puts forward for an amount."""

from typing import NamedTuple

from metering.domain.reconciliation.causes import ORDER, Cause


class CausePart(NamedTuple):
    """A cause, and what distinguishes it from others of its kind: ``cached_as_input``, ``rate 12``, ``+2 h``."""

    cause: Cause
    detail: str = ""


Explanation = tuple[CausePart, ...]
"""What would have to be true, all of it."""


class Candidate(NamedTuple):
    """An explanation and what each of its parts would add to our figure, nano-USD.

    ``rough`` is the part that is only known to the rounding of each request; None: all of them are known exactly.
    """

    explanation: Explanation
    amounts: tuple[int, ...]
    rough: int | None = -1

    @property
    def total(self) -> int:
        """All that it would add."""
        return sum(self.amounts)

    def share_out(self, difference: int) -> tuple[int, ...]:
        """Return what each part explains of a difference: the rough one takes what the others leave of it.

        Where all are exact they stay what they are, and what is left is the rounding of whoever states the difference.
        """
        if self.rough is None:
            return self.amounts
        amounts = list(self.amounts)
        amounts[self.rough] += difference - self.total
        return tuple(amounts)


def sort_key(explanation: Explanation) -> tuple[int, tuple[tuple[int, str], ...]]:
    """Say which explanation comes first where two fit equally well: the shorter, then by cause."""
    return len(explanation), tuple((ORDER.index(part.cause), part.detail) for part in explanation)


def format_explanation(explanation: Explanation) -> str:
    """Write an explanation as a stable text: ``quantity:cached_as_input+price:rate 12``."""
    return "+".join(f"{part.cause}:{part.detail}" if part.detail else part.cause for part in explanation)


def combined(first: Candidate, second: Candidate) -> Candidate:
    """Return what two candidates of one part each say together."""
    rough = 1 if second.rough is not None else 0 if first.rough is not None else None
    return Candidate((*first.explanation, *second.explanation), (*first.amounts, *second.amounts), rough)


def read_explanation(text: str) -> Explanation:
    """Read an explanation as it is written; a plus may also stand before a shift, and between kinds of quantities."""
    pieces: list[str] = []
    for piece in text.split("+"):
        if piece.partition(":")[0] in list(Cause) or not pieces:
            pieces.append(piece)
        else:
            pieces[-1] = f"{pieces[-1]}+{piece}"
    parts = (piece.partition(":") for piece in pieces)
    return tuple(CausePart(Cause(cause), detail) for cause, _, detail in parts)
