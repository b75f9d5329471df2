"""A statement as the simulation compares it: the figures that somebody could dispute, without words and rates."""

from datetime import date

from msgspec import Struct
from msgspec.structs import fields

INCLUDED = "included"
"""How a month's included credit is called among the references of grants."""

Fee = tuple[str, int, date, int, int | None]
"""(plan, seats, first day, days, cents or None where the fee is not known)."""


class Figures(Struct, kw_only=True):
    """Nano-USD by what it is about. Months are those of the requests (origin), ``YYYYMM``.

    ``credits`` are by (grant, month whose usage it paid): above zero paid, below given back. Of ``flags`` those that the
    simulation can tell. What is zero is left out.
    """

    usage: dict[int, int]
    adjustments: dict[str, tuple[int, int]]
    fees: list[Fee]
    credits: dict[tuple[str, int], int]
    included_left: int
    lasting_left: int
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
        """Say where the other statement has other figures."""
        pairs = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return [f"{name}: expected {mine}, got {theirs}" for name, mine, theirs in pairs if mine != theirs]
