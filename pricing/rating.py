"""The charge formula: quantities x rate = charge.

Every quantity is charged exactly once. The sum is exact and is rounded up to nano-USD once per request. A non-zero quantity
without a price leaves the whole request unpriced, because a partial charge would be too low. So does a rate for compute time or
images if the request reports none: the charge would be zero, and unknown is not zero.
"""

from operator import mul

from msgspec import Struct
from msgspec.structs import astuple

from pricing.errors import ChargeTooLargeError
from pricing.money import MAX_CHARGE_NANO
from pricing.quantities import PRICED_KINDS, Quantities, picker, total_of
from pricing.rates import TEXT_KINDS, Rate, assumed_cache_prices

_beyond_text = total_of([kind for kind in PRICED_KINDS if kind not in TEXT_KINDS])
_priced_amounts = picker(PRICED_KINDS)


class Charge(Struct, frozen=True, gc=False):
    """What a request costs at a rate, in nano-USD."""

    amount_nano: int
    rate: Rate


def charge(quantities: Quantities, rate: Rate) -> Charge | None:
    """Return the charge for ``quantities`` at ``rate``; None if a non-zero quantity has no price.

    Raises ChargeTooLargeError for 2^43 nano-USD or more.
    """
    q = quantities
    if _beyond_text(q):
        return _charge_any_kind(quantities, rate)
    amount_nano = text_amount(
        rate, q.input_tokens, q.cache_read_tokens, q.cache_write_tokens, q.cache_write_1h_tokens, q.output_tokens
    )
    if amount_nano is None:
        return _charge_any_kind(quantities, rate)
    return Charge(amount_nano, rate)


def text_amount(rate: Rate, fresh: int, read: int, written: int, written_1h: int, output: int) -> int | None:
    """Return the charge in nano-USD for a request that used no kinds but the TEXT_KINDS; None if the rate prices others.

    This is the general formula written out: nine of ten requests are text, and this is twice as fast. Raises
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
        # An image without its compute time is not free: the quantity that pays for it is missing.
        return None
    if amount_nano > MAX_CHARGE_NANO:
        raise _too_large(amount_nano, rate)
    return Charge(amount_nano, rate)


def assumes_cache_price(quantities: Quantities, rate: Rate) -> bool:
    """Whether a request's cached tokens are charged at the input price, because the source publishes no cache price."""
    return any(getattr(quantities, kind) for kind in rate.assumed)


def _too_large(amount_nano: int, rate: Rate) -> ChargeTooLargeError:
    message = (
        f"{amount_nano} nano-USD for one request of {rate.model} at {rate.provider} exceeds the limit of {MAX_CHARGE_NANO}"
    )
    return ChargeTooLargeError(message, amount_nano)


def kinds_without_price(quantities: Quantities, rate: Rate) -> list[str]:
    """Return the non-zero kinds that prevent ``rate`` from pricing ``quantities``, in the order of PRICED_KINDS.

    If every kind has a price of 0 in a rate for compute time or images, of which the request reports none, that is all of them.
    """
    used = [kind for kind in PRICED_KINDS if getattr(quantities, kind)]
    prices = {**rate.prices, **assumed_cache_prices(rate.prices)}
    unknown = [kind for kind in used if kind not in prices]
    if unknown or not rate.measured or rate.per_request or any(prices[kind].pico for kind in used):
        return unknown
    return used


def line_amount_pico(kind: str, quantity: int, rate: Rate) -> int:
    """Return quantity x price of one kind in pico-USD, as a usage line of a statement shows it.

    The result is exact if the price's block divides the product, which it always does for prices per token. Otherwise it is
    rounded down, and the difference is part of the rate's rounding line. ``kind`` may be ``requests``.
    """
    price = rate.prices.get(kind) or assumed_cache_prices(rate.prices)[kind]
    return quantity * price.pico // price.block
