"""The one formula: quantities x rate = charge.

Every quantity is charged exactly once. The product is exact; it is rounded up to nano-USD once, per request. A non-zero
quantity without a price leaves the whole request unpriced, because a part of a price is not the price. So does a rate that
charges for compute time or images where none were measured: it would come to nothing, and unknown is not zero.
"""

from operator import mul

from msgspec import Struct
from msgspec.structs import astuple

from pricing.errors import ChargeTooLargeError
from pricing.money import MAX_CHARGE_NANO
from pricing.quantities import PRICED_KINDS, Quantities, picker
from pricing.rates import CACHE_KINDS, TEXT_KINDS, Rate, assumed_cache_prices

_BEYOND_TEXT = tuple(kind for kind in PRICED_KINDS if kind not in TEXT_KINDS)
_beyond_text = picker(_BEYOND_TEXT)
_text_alone = (0,) * len(_BEYOND_TEXT)
_priced_amounts = picker(PRICED_KINDS)


class Charge(Struct, frozen=True, gc=False):
    """What a request costs at a rate: nano-USD, and whether a cache price had to be assumed."""

    amount_nano: int
    rate: Rate
    cache_price_unknown: bool = False


def charge(quantities: Quantities, rate: Rate) -> Charge | None:
    """Price ``quantities`` at ``rate``; None when a non-zero quantity has no price there.

    Raises ChargeTooLargeError for 2^43 nano-USD or more.
    """
    q = quantities
    if _beyond_text(astuple(q)) != _text_alone:
        return _charge_any_kind(quantities, rate)
    amount_nano = text_amount(
        rate, q.input_tokens, q.cache_read_tokens, q.cache_write_tokens, q.cache_write_1h_tokens, q.output_tokens
    )
    if amount_nano is None:
        return _charge_any_kind(quantities, rate)
    if rate.assumed and (q.cache_read_tokens or q.cache_write_tokens or q.cache_write_1h_tokens):
        return Charge(amount_nano, rate, len(rate.assumed) == len(CACHE_KINDS) or assumes_cache_price(quantities, rate))
    return Charge(amount_nano, rate)


def text_amount(rate: Rate, fresh: int, read: int, written: int, written_1h: int, output: int) -> int | None:
    """Return what a request that used the TEXT_KINDS and no others costs, in nano-USD; None at a rate for more than text.

    The same formula as below, written out: nine requests of ten are text, and this is twice as fast. Raises
    ChargeTooLargeError.
    """
    if rate.text is None:
        return None
    of_input, of_read, of_write, of_write_1h, of_output = rate.text
    scaled = (
        rate.per_request
        + fresh * of_input
        + read * of_read
        + written * of_write
        + written_1h * of_write_1h
        + output * of_output
    )
    amount_nano = -(-scaled // rate.denominator)
    if amount_nano > MAX_CHARGE_NANO:
        raise _too_large(amount_nano, rate)
    return amount_nano


def _charge_any_kind(quantities: Quantities, rate: Rate) -> Charge | None:
    amounts = astuple(quantities)
    if any(rate.without_price(amounts)):
        return None
    amount_nano = -(-sum(map(mul, amounts, rate.vector), rate.per_request) // rate.denominator)
    if not amount_nano and rate.measured and any(_priced_amounts(amounts)):
        # An image without its compute time is not a free image: what covers the price of 0 was not measured.
        return None
    if amount_nano > MAX_CHARGE_NANO:
        raise _too_large(amount_nano, rate)
    return Charge(amount_nano, rate, assumes_cache_price(quantities, rate))


def assumes_cache_price(quantities: Quantities, rate: Rate) -> bool:
    """Whether cached tokens are charged at the input price, because the source publishes no cache price."""
    return any(getattr(quantities, kind) for kind in rate.assumed)


def _too_large(amount_nano: int, rate: Rate) -> ChargeTooLargeError:
    message = f"{amount_nano} nano-USD for one request of {rate.model} at {rate.provider}, and the most is {MAX_CHARGE_NANO}"
    return ChargeTooLargeError(message, amount_nano)


def kinds_without_price(quantities: Quantities, rate: Rate) -> list[str]:
    """Return the non-zero kinds that keep ``rate`` from pricing ``quantities``, in the order of PRICED_KINDS.

    Where every kind has a price but what covers the prices of 0 was not measured, that is all of them.
    """
    used = [kind for kind in PRICED_KINDS if getattr(quantities, kind)]
    prices = {**rate.prices, **assumed_cache_prices(rate.prices)}
    unknown = [kind for kind in used if kind not in prices]
    if unknown or not rate.measured or rate.per_request or any(prices[kind].pico for kind in used):
        return unknown
    return used


def line_amount_pico(kind: str, quantity: int, rate: Rate) -> int:
    """Return quantity x price of one kind in pico-USD, as a statement's usage line shows it.

    Exact where the price's block divides the product (always, for prices per token); otherwise rounded down, and the
    difference is part of the rate's rounding line. ``kind`` may be ``requests``.
    """
    price = rate.prices.get(kind) or assumed_cache_prices(rate.prices)[kind]
    return quantity * price.pico // price.block
