"""A rate: one row of a price table, with the price of each kind of quantity of one model at one provider.

Prices are integer pico-USD per block of units (1 token; 1,000 or 3,600,000 ms). A kind without a price is unknown, not free; a
price of 0 is free. The one exception: a cache price that the source does not publish falls back to the input price.
"""

from collections.abc import Mapping
from math import lcm
from types import MappingProxyType

from pricing.errors import InvalidPriceError
from pricing.money import PICO_PER_NANO
from pricing.quantities import ALL_KINDS, PRICED_KINDS, REQUESTS, TOKEN_KINDS, picker

ANY_OPERATION = ""
MAX_PRICE_PICO = 10**15  # a thousand dollars for one unit, more than any published price
MAX_BLOCK = 3_600_000
CACHE_KINDS = ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")

# The kinds that requests for text use; ``rating.text_amount`` takes their amounts in this order.
TEXT_KINDS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens")


class Price:
    """Integer pico-USD for ``block`` units of one kind of quantity."""

    __slots__ = ("block", "pico")

    def __init__(self, pico: int, block: int = 1) -> None:
        if not 0 <= pico <= MAX_PRICE_PICO:
            raise InvalidPriceError(f"a price must be between 0 and {MAX_PRICE_PICO} pico-USD, got {pico}")
        if not 1 <= block <= MAX_BLOCK:
            raise InvalidPriceError(f"a block must be between 1 and {MAX_BLOCK} units, got {block}")
        self.pico = pico
        self.block = block

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Price) and (self.pico, self.block) == (other.pico, other.block)

    def __hash__(self) -> int:
        return hash((self.pico, self.block))

    def __repr__(self) -> str:
        return f"Price({self.pico}, {self.block})"


class Rate:
    """The prices of one (provider, model, operation) from one prompt size upwards. Immutable.

    ``id`` is the row that charges refer to, 0 until the rate is recorded. ``context_from`` is the number of prompt tokens from
    which the rate applies to the whole request.

    The other attributes are the prices in the form that the charge formula uses: in nano-USD,
    ``(per_request + sum(amounts * vector)) / denominator``, with amounts in the order of ALL_KINDS.

    - ``vector``: a price for each kind, up to the last kind that has one; 0 for a kind without.
    - ``without_price``: picks the amounts of kinds without a price, which must all be 0.
    - ``assumed``: the kinds with the input price because the source publishes no cache price.
    - ``measured``: whether the rate charges for anything but tokens, such as compute time or images. A price of 0 in such a
      rate means that the kind is covered by those prices, not that a request is free.
    - ``text``: the prices of the TEXT_KINDS, in order, of a rate that needs no others, as nearly every rate does; else None.
    """

    __slots__ = (
        "assumed", "context_from", "denominator", "id", "measured", "model", "operation", "per_request", "prices",
        "provider", "source", "table_id", "text", "vector", "without_price",
    )  # fmt: skip

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        prices: Mapping[str, Price],
        operation: str = ANY_OPERATION,
        context_from: int = 0,
        source: str = "",
        id: int = 0,  # noqa: A002 - the field's name
        table_id: int = 0,
    ) -> None:
        if not provider or not model:
            raise InvalidPriceError(f"a rate needs a provider and a model, got {provider!r} and {model!r}")
        if context_from < 0:
            raise InvalidPriceError(f"{provider} {model}: context_from must not be negative, got {context_from}")
        if not prices:
            raise InvalidPriceError(f"{provider} {model}: a rate needs at least one price")
        for kind in prices:
            if kind != REQUESTS and kind not in PRICED_KINDS:
                raise InvalidPriceError(f"{provider} {model}: {kind!r} is not a kind of quantity that can have a price")
        self.id = id
        self.table_id = table_id
        self.provider = provider
        self.model = model
        self.operation = operation
        self.context_from = context_from
        self.source = source
        self.prices: Mapping[str, Price] = MappingProxyType(dict(prices))
        self._prepare()

    def _prepare(self) -> None:
        assumed = assumed_cache_prices(self.prices)
        usable = {**self.prices, **assumed}
        blocks = lcm(*(price.block for price in usable.values()))
        scaled = {kind: price.pico * (blocks // price.block) for kind, price in usable.items()}
        width = max((i + 1 for i, kind in enumerate(ALL_KINDS) if kind in scaled), default=0)
        self.vector = tuple(scaled.get(kind, 0) for kind in ALL_KINDS[:width])
        self.without_price = picker([kind for kind in PRICED_KINDS if kind not in scaled])
        self.per_request = scaled.get(REQUESTS, 0)
        self.denominator = PICO_PER_NANO * blocks
        self.assumed = tuple(assumed)
        self.measured = any(scaled.get(kind) for kind in PRICED_KINDS if kind not in TOKEN_KINDS)
        is_text = not self.measured and scaled.keys() >= set(TEXT_KINDS)
        self.text = tuple(scaled[kind] for kind in TEXT_KINDS) if is_text else None

    def __repr__(self) -> str:
        return f"<Rate {self.id} {self.provider} {self.model} {self.operation or 'any'} from {self.context_from}>"


def assumed_cache_prices(prices: Mapping[str, Price]) -> dict[str, Price]:
    """Return the input price for each kind of cache price that is missing; empty if there is no input price.

    The reason for this rule: the router's ``/v1/models`` publishes input and output prices only.
    """
    base = prices.get("input_tokens")
    if base is None:
        return {}
    return {kind: base for kind in CACHE_KINDS if kind not in prices}
