"""What one request would cost under a hypothesis: its cached tokens charged as input, another price in effect, and so on.

A hypothesis is a small function that changes the quantities, or another rate; the one rating formula computes the cost. If
the line states quantities, they are a fact and replace the hypotheses about quantities.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import asdict, replace

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import Candidate, CausePart
from metering.domain.reconciliation.invoices import PROMPT_TOKENS
from metering.domain.reconciliation.requests import MeteredRequest
from pricing.errors import ChargeTooLargeError
from pricing.quantities import ALL_KINDS, PRICED_KINDS, Quantities
from pricing.rates import CACHE_KINDS, Rate, assumed_cache_prices
from pricing.rating import charge

RecordedRates = Mapping[tuple[str, str], Sequence[Rate]]
"""Every recorded rate of a (provider, model in lower case)."""


def other_rates(recorded: RecordedRates, provider: str, model: str, rate: Rate | None) -> list[Rate]:
    """Return the recorded rates of a model: under the name that the charged rate has for it, or its own without a rate.

    A rate that differs only by charging cached tokens as input is left out: that is a hypothesis about quantities, and the
    two would always fit together.
    """
    provider, model = (provider, model) if rate is None else (rate.provider, rate.model)
    listed = recorded.get((provider, model.casefold()), ())
    return [each for each in listed if rate is None or not _is_cached_at_input(each, rate)]


def _is_cached_at_input(other: Rate, rate: Rate) -> bool:
    """Return whether a rate has the prices of another, except for cached tokens at the price of input."""
    prices = {**rate.prices, **assumed_cache_prices(rate.prices)}
    as_input = {kind: prices.get("input_tokens", price) if kind in CACHE_KINDS else price for kind, price in prices.items()}
    return as_input != prices and as_input == {**other.prices, **assumed_cache_prices(other.prices)}


def cached_as_input(q: Quantities) -> Quantities:
    """Tokens read from the cache charged at the full input price."""
    return replace(q, input_tokens=q.input_tokens + q.cache_read_tokens, cache_read_tokens=0)


def cached_twice(q: Quantities) -> Quantities:
    """Tokens read from the cache charged as input, and as cached tokens as well."""
    return replace(q, input_tokens=q.input_tokens + q.cache_read_tokens)


def cached_free(q: Quantities) -> Quantities:
    """Tokens read from the cache not charged at all."""
    return replace(q, cache_read_tokens=0)


def reasoning_twice(q: Quantities) -> Quantities:
    """Reasoning tokens charged on top of the output that they are part of."""
    return replace(q, output_tokens=q.output_tokens + q.reasoning_tokens)


def reasoning_free(q: Quantities) -> Quantities:
    """Reasoning tokens not charged."""
    return replace(q, output_tokens=max(0, q.output_tokens - q.reasoning_tokens))


QUANTITY_HYPOTHESES: dict[str, Callable[[Quantities], Quantities]] = {
    hypothesis.__name__: hypothesis
    for hypothesis in (cached_as_input, cached_twice, cached_free, reasoning_twice, reasoning_free)
}


def priced(quantities: Quantities, rate: Rate | None) -> int | None:
    """Return what quantities cost at a rate, in nano-USD; None if the rate cannot price them."""
    try:
        made = None if rate is None else charge(quantities, rate)
    except ChargeTooLargeError:
        return None
    return None if made is None else made.amount_nano


def stated_quantities(ours: Quantities, stated: Mapping[str, int]) -> Quantities:
    """Return our quantities with those of a line in their place. A line's prompt tokens include all cached tokens."""
    changes = {kind: count for kind, count in stated.items() if kind in ALL_KINDS}
    if PROMPT_TOKENS in stated:
        cached = sum(changes.get(kind, getattr(ours, kind)) for kind in CACHE_KINDS)
        changes["input_tokens"] = max(0, stated[PROMPT_TOKENS] - cached)
    return replace(ours, **changes)


def describe_quantity_difference(ours: Quantities, theirs: Quantities) -> str:
    """Return the detail of a difference in quantities: a hypothesis that explains exactly that, otherwise the kinds."""
    for name, hypothesis in QUANTITY_HYPOTHESES.items():
        if _priced_counts(hypothesis(ours)) == _priced_counts(theirs):
            return name
    return "+".join(kind for kind in PRICED_KINDS if getattr(ours, kind) != getattr(theirs, kind))


def _priced_counts(quantities: Quantities) -> dict[str, int]:
    counts = asdict(quantities)
    return {kind: counts[kind] for kind in PRICED_KINDS}


class RequestHypothesis(NamedTuple):
    """Other quantities of a request, the name of the hypothesis, and their cost at the request's own rate, in nano-USD."""

    name: str
    quantities: Quantities
    amount_nano: int

    @property
    def part(self) -> CausePart:
        """The hypothesis as an explanation."""
        return CausePart(Cause.QUANTITY, self.name)


class AmountRange(NamedTuple):
    """The amounts that rounding cannot distinguish from the billed one, both ends included."""

    lowest: int
    highest: int


def hypotheses_of(request: MeteredRequest, stated: Mapping[str, int]) -> list[RequestHypothesis]:
    """Return other quantities of a request: those of the line if it states any (a fact), otherwise one per hypothesis."""
    q = request.quantities
    if stated:
        theirs = stated_quantities(q, stated)
        is_equal = _priced_counts(theirs) == _priced_counts(q)
        others = [] if is_equal else [(describe_quantity_difference(q, theirs), theirs)]
    else:
        others = [(name, hypothesis(q)) for name, hypothesis in QUANTITY_HYPOTHESES.items()]
    return [
        RequestHypothesis(name, quantities, amount)
        for name, quantities in others
        if quantities != q and (amount := priced(quantities, request.rate)) is not None
    ]


def single_candidates(
    request: MeteredRequest, hypotheses: Sequence[RequestHypothesis], rates: Sequence[Rate], within: AmountRange
) -> list[Candidate]:
    """Return what explains an amount alone: another rate, or other quantities."""
    ours, (lowest, highest) = request.amount_nano, within
    fitting = [
        Candidate((CausePart(Cause.PRICE, f"rate {rate.id}"),), (amount - ours,))
        for rate in rates
        if (amount := priced(request.quantities, rate)) is not None and lowest <= amount <= highest
    ]
    fitting += [
        Candidate((each.part,), (each.amount_nano - ours,)) for each in hypotheses if lowest <= each.amount_nano <= highest
    ]
    return [each for each in fitting if each.total]


def paired_candidates(
    request: MeteredRequest, hypotheses: Sequence[RequestHypothesis], rates: Sequence[Rate], within: AmountRange
) -> list[Candidate]:
    """Return what other quantities and another rate explain together, where each of them changes the amount."""
    ours, (lowest, highest) = request.amount_nano, within
    return [
        Candidate((each.part, CausePart(Cause.PRICE, f"rate {rate.id}")), (each.amount_nano - ours, amount - each.amount_nano))
        for each in hypotheses
        if each.amount_nano != ours
        for rate in rates
        if (amount := priced(each.quantities, rate)) is not None and lowest <= amount <= highest and amount != each.amount_nano
    ]
