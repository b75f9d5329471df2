"""Explanations: one or two parts, each a cause with a detail, that a hypothesis proposes for an amount."""

from typing import NamedTuple

from metering.domain.reconciliation.causes import ORDER, Cause


class CausePart(NamedTuple):
    """A cause, and a detail that distinguishes it from others of its kind: ``cached_as_input``, ``rate 12``, ``+2 h``."""

    cause: Cause
    detail: str = ""


Explanation = tuple[CausePart, ...]
"""What would have to be true, all of it."""


class Candidate(NamedTuple):
    """An explanation, and what each of its parts would add to our amount, in nano-USD.

    ``rough`` is the index of the part that is known only to the rounding of each request (-1: the last one); None: all parts
    are exact.
    """

    explanation: Explanation
    amounts: tuple[int, ...]
    rough: int | None = -1

    @property
    def total(self) -> int:
        """What all parts add."""
        return sum(self.amounts)

    def share_out(self, difference: int) -> tuple[int, ...]:
        """Return what each part explains of a difference: the rough part takes what the others leave of it.

        If all parts are exact they keep their amounts, and what is left of the difference is rounding on the invoice.
        """
        if self.rough is None:
            return self.amounts
        amounts = list(self.amounts)
        amounts[self.rough] += difference - self.total
        return tuple(amounts)


def sort_key(explanation: Explanation) -> tuple[int, tuple[tuple[int, str], ...]]:
    """Return the key that ranks explanations that fit equally well: shorter ones first, then by cause."""
    return len(explanation), tuple((ORDER.index(part.cause), part.detail) for part in explanation)


def format_explanation(explanation: Explanation) -> str:
    """Write an explanation as a stable text: ``quantity:cached_as_input+price:rate 12``."""
    return "+".join(f"{part.cause}:{part.detail}" if part.detail else part.cause for part in explanation)


def combined(first: Candidate, second: Candidate) -> Candidate:
    """Return two candidates of one part each as one candidate of two parts."""
    rough = 1 if second.rough is not None else 0 if first.rough is not None else None
    return Candidate((*first.explanation, *second.explanation), (*first.amounts, *second.amounts), rough)


def read_explanation(text: str) -> Explanation:
    """Read an explanation as it is written. A plus can also be the sign of a shift, or separate kinds of quantities."""
    pieces: list[str] = []
    for piece in text.split("+"):
        if piece.partition(":")[0] in list(Cause) or not pieces:
            pieces.append(piece)
        else:
            pieces[-1] = f"{pieces[-1]}+{piece}"
    parts = (piece.partition(":") for piece in pieces)
    return tuple(CausePart(Cause(cause), detail) for cause, _, detail in parts)
