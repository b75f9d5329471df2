"""Amounts in tables, aligned at their decimal points."""

from collections.abc import Sequence

UNKNOWN_AMOUNT = "unknown"


def aligned(amounts: Sequence[str]) -> list[str]:
    """Pad amounts to one width with their decimal points aligned; text that is not an amount ends where the points are."""
    before = [len(amount.partition(".")[0]) for amount in amounts]
    left = max(before, default=0)
    padded = [" " * (left - width) + amount for width, amount in zip(before, amounts, strict=True)]
    width = max(map(len, padded), default=0)
    return [amount.ljust(width) for amount in padded]
