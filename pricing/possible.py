"""What a request may have cost whose provider or billing route is not known: the least and the most that the model's partners
charged when it started.

The partners are the providers that a price list has the model of, under any of its names. A partner that the router did not
have that day cannot have served a routed request. Without a route, both the router's prices and the partners' own are
considered. A partner that does not price everything that was used is left out. Unknown stays unknown: a range is no charge.

Several requests may be given as one sum of a period. The range then still contains their sum: every price of the period and
every context tier that one of them may have reached is considered, and each request may have been rounded up by itself.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from operator import mul

from msgspec import Struct
from msgspec.structs import astuple

from pricing.book import PriceBook
from pricing.dollars import display_nano
from pricing.partners import is_partner
from pricing.quantities import PRICED_KINDS, Quantities, picker
from pricing.rates import Rate

ROUTED, PROVIDER_KEY, UNKNOWN = "routed", "provider_key", "unknown"

_EPOCH = date(1970, 1, 1)
_MICROS_PER_DAY = 86_400_000_000
_priced_amounts = picker(PRICED_KINDS)


class UnknownUsage(Struct, frozen=True, kw_only=True):
    """Requests of one model that started in ``[start, end)`` (microseconds UTC, within one UTC day), with their quantities.

    ``provider`` and ``route`` may be ``unknown``.
    """

    account_id: int | None
    route: str
    provider: str
    model: str
    operation: str
    start: int
    end: int
    events: int
    quantities: Quantities


class PossibleCost(Struct, frozen=True):
    """The least and the most, in nano-USD, that ``events`` requests may have cost."""

    events: int
    least_nano: int
    most_nano: int

    def plus(self, other: "PossibleCost | None") -> "PossibleCost":
        """Return the sum of both."""
        if other is None:
            return self
        return PossibleCost(self.events + other.events, self.least_nano + other.least_nano, self.most_nano + other.most_nano)

    def __str__(self) -> str:
        least, most = display_nano(self.least_nano), display_nano(self.most_nano)
        # At one price, the two differ only by the rounding of each request.
        one_price = self.most_nano - self.least_nano < self.events
        return f"${least}" if one_price or least == most else f"between ${least} and ${most}"


class PossibleCosts:
    """Ranges by the prices of one book."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._providers = sorted({key[0] for versions in book.versions for key in versions.entries})

    def of(self, usage: UnknownUsage) -> PossibleCost | None:
        """Return the range; None if the provider and the route are known, or no partner's price is."""
        if UNKNOWN not in (usage.provider, usage.route):
            return None
        amounts = [amount for rate in self._rates(usage) if (amount := _amount_nano(rate, usage)) is not None]
        if not amounts:
            return None
        return PossibleCost(usage.events, min(amounts), max(amounts) + usage.events - 1)

    def _rates(self, usage: UnknownUsage) -> Iterator[Rate]:
        """Yield the rates that partners charged in the period, for every size of prompt that is possible."""
        prompt = usage.quantities.prompt_tokens
        for provider in self._providers if usage.provider == UNKNOWN else [usage.provider]:
            for route in (ROUTED, PROVIDER_KEY) if usage.route == UNKNOWN else [usage.route]:
                if route == ROUTED and not is_partner(provider, _EPOCH + timedelta(days=usage.start // _MICROS_PER_DAY)):
                    continue
                key = (provider, usage.model, usage.operation)
                for tiers in self._book.timeline(usage.account_id, route, key).tiers_between(usage.start, usage.end):
                    reached = [rate for rate in tiers if rate.context_from <= prompt]
                    yield from reached[:1] if usage.events == 1 else reached


def _amount_nano(rate: Rate, usage: UnknownUsage) -> int | None:
    """Return what the sum of the quantities costs, rounded up once; None if the rate does not price all of them."""
    amounts = astuple(usage.quantities)
    if any(rate.without_price(amounts)):
        return None
    amount_nano = -(-sum(map(mul, amounts, rate.vector), rate.per_request * usage.events) // rate.denominator)
    return None if not amount_nano and rate.measured and any(_priced_amounts(amounts)) else amount_nano
