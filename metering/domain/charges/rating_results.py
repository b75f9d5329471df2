"""What charging usage that was unpriced comes to."""

from msgspec import Struct, field


class ChargedTotals(Struct):
    """How many events were charged, and what they come to in nano-USD."""

    events: int = 0
    amount_nano: int = 0


class RatingResult(Struct):
    """What a run charged, in all and by (provider, model); ``still_unpriced`` events have no price yet."""

    rated: int = 0
    still_unpriced: int = 0
    amount_nano: int = 0
    by_model: dict[tuple[str, str], ChargedTotals] = field(default_factory=dict)
