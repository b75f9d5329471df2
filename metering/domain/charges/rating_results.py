"""Result of charging usage that was unpriced."""

from msgspec import Struct, field


class ChargedTotals(Struct):
    """A number of charged events and the sum of their charges in nano-USD."""

    events: int = 0
    amount_nano: int = 0


class RatingResult(Struct):
    """Events that were charged, in total and by (provider, model), and the number that are still unpriced."""

    rated: int = 0
    still_unpriced: int = 0
    amount_nano: int = 0
    by_model: dict[tuple[str, str], ChargedTotals] = field(default_factory=dict)
