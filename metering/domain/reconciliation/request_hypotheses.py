"""What one request would cost if something were true: its cached tokens charged as input, another price in force, ...

Each hypothesis is a small function from a request to quantities or a rate; the one formula says what that would come to. Where
the line states quantities, they are a fact and take the place of the hypotheses about quantities.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import asdict, replace

from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import Candidate, CausePart
from metering.domain.reconciliation.invoices import PROMPT_PARTS, PROMPT_TOKENS
from metering.domain.reconciliation.requests import MeteredRequest
from pricing.errors import ChargeTooLargeError
from pricing.quantities import ALL_KINDS, PRICED_KINDS, Quantities
from pricing.rates import CACHE_KINDS, Rate, assumed_cache_prices
from pricing.rating import charge

Versions = Mapping[tuple[str, str], Sequence[Rate]]
"""Every recorded rate of a (provider, model in lower case)."""


def versions_of(versions: Versions, provider: str, model: str, rate: Rate | None) -> list[Rate]:
    """Return the recorded rates of a model, under the name by which the charged rate knows it, else under its own.

    One that differs only by charging cached tokens as input is left out: that is a hypothesis of its own, and the two would
    always fit together.
    """
    named = (provider, model) if rate is None else (rate.provider, rate.model)
    listed = versions.get((named[0], named[1].casefold()), ())
    return [each for each in listed if rate is None or not _is_cached_at_input(each, rate)]


def _is_cached_at_input(other: Rate, rate: Rate) -> bool:
    """Whether a rate has the prices of another, but for cached tokens at the price of input."""
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
    """Return what quantities cost at a rate, nano-USD; None where it makes no charge of them."""
    try:
        made = None if rate is None else charge(quantities, rate)
    except ChargeTooLargeError:
        return None
    return None if made is None else made.amount_nano


def stated_quantities(ours: Quantities, stated: Mapping[str, int]) -> Quantities:
    """Return our quantities with what a line states in their place; all prompt tokens stand against the sum of their parts."""
    changes = {kind: count for kind, count in stated.items() if kind in ALL_KINDS}
    if PROMPT_TOKENS in stated:
        known = sum(changes.get(kind, getattr(ours, kind)) for kind in PROMPT_PARTS[1:])
        changes["input_tokens"] = max(0, stated[PROMPT_TOKENS] - known)
    return replace(ours, **changes)


def kinds_that_differ(ours: Quantities, theirs: Quantities) -> str:
    """Name what differs: a known confusion where it is exactly that, else the kinds."""
    for name, hypothesis in QUANTITY_HYPOTHESES.items():
        if _charged(hypothesis(ours)) == _charged(theirs):
            return name
    return "+".join(kind for kind in PRICED_KINDS if getattr(ours, kind) != getattr(theirs, kind))


def _charged(quantities: Quantities) -> dict[str, int]:
    counts = asdict(quantities)
    return {kind: counts[kind] for kind in PRICED_KINDS}


class RequestHypothesis(NamedTuple):
    """Other quantities, what makes them so, and what they come to at the request's own rate, nano-USD."""

    name: str
    quantities: Quantities
    amount_nano: int

    @property
    def part(self) -> CausePart:
        """Say it as an explanation."""
        return CausePart(Cause.QUANTITY, self.name)


class AmountRange(NamedTuple):
    """The amounts that rounding does not tell from the one that is billed, both ends included."""

    lowest: int
    highest: int


def hypotheses_of(request: MeteredRequest, stated: Mapping[str, int]) -> list[RequestHypothesis]:
    """Return other quantities of a request: those of the line where it states any (a fact), else those of each hypothesis."""
    q = request.quantities
    if stated:
        theirs = stated_quantities(q, stated)
        others = [] if _charged(theirs) == _charged(q) else [(kinds_that_differ(q, theirs), theirs)]
    else:
        others = [(name, hypothesis(q)) for name, hypothesis in QUANTITY_HYPOTHESES.items()]
    return [
        RequestHypothesis(name, quantities, amount)
        for name, quantities in others
        if quantities != q and (amount := priced(quantities, request.rate)) is not None
    ]


def candidates_of(
    request: MeteredRequest, supposed: Sequence[RequestHypothesis], others: Sequence[Rate], within: AmountRange
) -> list[Candidate]:
    """Return what alone explains an amount: one of the other rates, or of the other quantities."""
    ours, (lowest, highest) = request.amount_nano, within
    found = [
        Candidate((CausePart(Cause.PRICE, f"rate {each.id}"),), (amount - ours,))
        for each in others
        if (amount := priced(request.quantities, each)) is not None and lowest <= amount <= highest
    ]
    found += [Candidate((each.part,), (each.amount_nano - ours,)) for each in supposed if lowest <= each.amount_nano <= highest]
    return [each for each in found if each.total]


def pairs_of(
    request: MeteredRequest, supposed: Sequence[RequestHypothesis], others: Sequence[Rate], within: AmountRange
) -> list[Candidate]:
    """Return what other quantities and another rate explain together, where neither does nothing."""
    ours, (lowest, highest) = request.amount_nano, within
    return [
        Candidate((each.part, CausePart(Cause.PRICE, f"rate {rate.id}")), (each.amount_nano - ours, amount - each.amount_nano))
        for each in supposed
        if each.amount_nano != ours
        for rate in others
        if (amount := priced(each.quantities, rate)) is not None and lowest <= amount <= highest and amount != each.amount_nano
    ]
