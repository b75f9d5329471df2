"""A statement as the simulation compares it: its figures, without descriptions and rates."""

from datetime import date

from msgspec import Struct
from msgspec.structs import fields

INCLUDED = "included"
"""Stands for a month's included credits among the references of grants."""

Fee = tuple[str, int, date, int, int | None]
"""(plan, seats, first day, days, cents; None where the fee is unknown)."""


class Figures(Struct, kw_only=True):
    """Nano-USD by subject. Months are origin months, ``YYYYMM``.

    ``credits`` are by (grant, month whose usage it paid): positive paid, negative restored. ``flags`` are those that the oracle
    computes. Zeros are left out.
    """

    usage: dict[int, int]
    adjustments: dict[str, tuple[int, int]]
    fees: list[Fee]
    credits: dict[tuple[str, int], int]
    included_left: int
    purchased_left: int
    carried_in_cents: int
    carried_out_cents: int
    total_cents: int
    residual_pico: int
    partners_nano: int
    unpriced: dict[tuple[int, str, str, str], int]
    route_unknown: dict[tuple[int, str, str, str], int]
    failed: int
    events: int
    flags: set[str]

    def differences(self, other: "Figures") -> list[str]:
        """Return how the figures of another statement differ."""
        pairs = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return [f"{name}: expected {mine}, got {theirs}" for name, mine, theirs in pairs if mine != theirs]
