"""The rates that kinds of requests may be charged at, as the process that stores events answered, kept for a minute."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from metering.domain.usage.charging import first_charge, succeeded
from metering.domain.usage.events import MAX_NAME_LENGTH, UNKNOWN, QuantityGrade, UsageEvent
from metering.domain.usage.model_names import split_model
from metering.formats.openai_exchange import Exchange, model_in_path, operation_of
from metering.sidecar.budget_messages import SentRate, received_rate
from metering.sidecar.proxy import EnteringRequest
from pricing.errors import ChargeTooLargeError
from pricing.precedence import Tiers, tier_for
from pricing.rates import Rate

KEPT_SECONDS = 60.0
MAX_OFFERS = 4_096
_ASK_AGAIN_SECONDS = 1.0


class OfferKey(NamedTuple):
    """A kind of request. ``provider`` is ``unknown`` if the router is to choose it."""

    account: str
    provider: str
    model: str
    operation: str


class Offer:
    """The rates of one kind of request by provider; ``by_provider`` None: not answered yet.

    Times are the event loop's: when it was first asked for, and from when on it is asked for again.
    """

    def __init__(self, key: OfferKey, number: int) -> None:
        self.key = key
        self.number = number
        self.asked_at = 0.0
        self.ask_again_at = 0.0
        self.by_provider: dict[str, Tiers] | None = None
        self.dearest: tuple[Tiers, ...] = ()

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that may serve such a request."""
        if self.key.provider != UNKNOWN:
            return (self.key.provider,)
        return (UNKNOWN, *(self.by_provider or ()))

    def take(self, sent: Iterable[SentRate], now: float) -> None:
        """Keep the rates that were answered."""
        tiers: dict[str, list[Rate]] = defaultdict(list)
        for rate in sent:
            tiers[rate.provider].append(received_rate(rate))
        self.by_provider = {
            provider: tuple(sorted(rates, key=lambda rate: -rate.context_from)) for provider, rates in tiers.items()
        }
        self.dearest = _dearest(self.by_provider.values())
        self.ask_again_at = now + KEPT_SECONDS


class OfferedRates:
    """Offers by kind of request. ``ask`` asks for one, if that is possible now. ``host`` is the upstream's."""

    def __init__(self, ask: Callable[[Offer], None], host: str) -> None:
        self._ask = ask
        self._host = host
        self._offers: dict[OfferKey, Offer] = {}
        self._by_number: dict[int, Offer] = {}
        self._numbers = 0

    def offer(self, request: EnteringRequest, now: float) -> Offer:
        """Return the offer for a request, and ask for its rates if they are not known, or not fresh."""
        model, operation = _model_and_operation(self._host, request.path, request.facts.model)
        offer = self._of(OfferKey(request.caller.account, request.provider, model, operation))
        if now >= offer.ask_again_at:
            # Until the answer arrives, the rates that are known are used.
            offer.asked_at = offer.asked_at or now
            offer.ask_again_at = now + _ASK_AGAIN_SECONDS
            self._ask(offer)
        return offer

    def answered(self, number: int, sent: Iterable[SentRate], now: float) -> None:
        """Keep an answer."""
        offer = self._by_number.get(number)
        if offer is not None:
            offer.take(sent, now)

    def charge_nano(self, event: UsageEvent, offer: Offer) -> int | None:
        """Return what an event is charged when it is stored, in nano-USD; 0 if it has no price, None if that is not known."""
        if not succeeded(event):
            return 0
        rate = None
        if event.quantity_grade != QuantityGrade.UNSTATED:
            tiers = self._tiers_of(event, offer)
            if tiers is None:
                return None
            rate = tier_for(tiers, event.quantities.prompt_tokens)
        try:
            return first_charge(event.quantities, rate, event.reported_cost_nano).amount_nano or 0
        except ChargeTooLargeError:
            return None

    def _tiers_of(self, event: UsageEvent, offer: Offer) -> Tiers | None:
        key = offer.key
        if offer.by_provider is not None and (event.model, event.operation) == key[2:]:
            tiers = offer.by_provider.get(event.provider)
            if tiers is not None:
                return tiers
            if key.provider in (UNKNOWN, event.provider):
                return ()
        other = self._offers.get(OfferKey(key.account, event.provider, event.model, event.operation))
        if other is None or other.by_provider is None:
            return None
        return other.by_provider.get(event.provider, ())

    def _of(self, key: OfferKey) -> Offer:
        offer = self._offers.get(key)
        if offer is None:
            if len(self._offers) >= MAX_OFFERS:
                self._offers.clear()
                self._by_number.clear()
            self._numbers += 1
            offer = self._offers[key] = self._by_number[self._numbers] = Offer(key, self._numbers)
        return offer


def _dearest(offers: Iterable[Tiers]) -> tuple[Tiers, ...]:
    """Return the offers that can be the dearest one of a request: without those that another one exceeds in every price."""
    kept: list[Tiers] = []
    for tiers in offers:
        if any(_exceeds(other, tiers) for other in kept):
            continue
        kept = [other for other in kept if not _exceeds(tiers, other)]
        kept.append(tiers)
    return tuple(kept)


def _exceeds(dearer: Tiers, other: Tiers) -> bool:
    """Whether an offer is at least as dear as another for every request. Offers with tiers are not compared."""
    if len(dearer) != 1 or len(other) != 1 or dearer[0].context_from or other[0].context_from:
        return False
    first, second = dearer[0], other[0]
    if first.text is None or second.text is None or first.denominator != second.denominator:
        return False
    return first.per_request >= second.per_request and all(a >= b for a, b in zip(first.text, second.text, strict=True))


@lru_cache(maxsize=4_096)
def _model_and_operation(host: str, path: str, stated: str) -> tuple[str, str]:
    """Return the model and the operation as the event will have them."""
    exchange = Exchange({}, {}, {}, {}, host, path, None)
    model, _ = split_model(stated[:MAX_NAME_LENGTH] or model_in_path(exchange) or UNKNOWN)
    return model, operation_of(exchange) or "chat"
