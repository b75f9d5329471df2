"""Convert published amounts to prices, exactly or not at all.

A price is an integer of pico-USD per block of units. The error of a binary fraction in a published number (1.0399999999999998
for 1.04) is removed. A number that really has more digits than a price can have is refused. So is an implausibly high price,
because a price in the wrong unit is off by a factor of a thousand or a million.
"""

from decimal import Decimal

from pricing.dollars import shortest_usd
from pricing.errors import InvalidAmountError, InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.money import PICO_PER_USD, parse_usd
from pricing.quoting import quoted_per
from pricing.rates import Price

# The highest plausible prices, in dollars. The most expensive published tokens cost 600 per million (o1-pro, output).
MAX_USD = {"per million": 1_000, "each": 100, "per second": 10}

# The tolerance is 1e-9 dollars per million units: far above the error of a binary fraction, far below the sixth decimal.
_TOLERANCES_PER_PICO = 1_000


def exact_price(amount: object, kind: str, *, per: int, where: str, block: int = 1) -> Price:
    """Return ``amount`` dollars for ``per`` units of ``kind`` as a price per ``block`` units.

    ``amount`` is a Decimal or an int from an exact reader. Raises InvalidPriceError with a message that begins with ``where``.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise InvalidPriceError(f"{where} must be a number of dollars, got {excerpt(amount)}")
    number = Decimal(amount)
    if not number.is_finite():
        raise InvalidPriceError(f"{where}: {number} is not a finite number of dollars")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > 60 or len(number.as_tuple().digits) > 60:
        raise InvalidPriceError(f"{where}: {excerpt(amount)} is not a plausible number of dollars", PriceFault.IMPLAUSIBLE)
    numerator, denominator = number.as_integer_ratio()
    # The nearest whole pico-USD, computed in integers, because Decimal silently rounds to 28 digits.
    scaled, units = numerator * PICO_PER_USD * block, denominator * per
    pico = (2 * scaled + units) // (2 * units)
    if abs(scaled - pico * units) * _TOLERANCES_PER_PICO > units:
        raise InvalidPriceError(
            f"{where}: {excerpt(amount)} has more decimals than a price can have, beyond the error of a binary fraction",
            PriceFault.TOO_PRECISE,
        )
    return plausible_price(pico, kind, where=where, block=block)


def price_from_text(text: str, kind: str, *, per_usd: int, where: str, block: int = 1) -> Price:
    """Return a price written as text, in whole ``1 / per_usd`` dollars per ``block`` units. Nothing is rounded.

    Raises InvalidPriceError with a message that begins with ``where``.
    """
    try:
        amount = parse_usd(text, unit_per_usd=per_usd)
    except InvalidAmountError as error:
        raise InvalidPriceError(f"{where}: {error}") from None
    return plausible_price(amount, kind, where=where, block=block)


def plausible_price(pico: int, kind: str, *, where: str, block: int = 1) -> Price:
    """Return the price of ``pico`` pico-USD per ``block`` units of ``kind``.

    Raises InvalidPriceError, with a message that begins with ``where``, for a negative or implausibly high price.
    """
    units, words = quoted_per(kind)
    if pico * units > MAX_USD[words] * PICO_PER_USD * block:
        price = shortest_usd(pico * units // block, PICO_PER_USD)
        raise InvalidPriceError(
            f"{where}: {price} dollars {words} exceeds the plausible limit of {MAX_USD[words]}; check the unit",
            PriceFault.IMPLAUSIBLE,
        )
    try:
        return Price(pico, block)
    except InvalidPriceError as error:
        raise InvalidPriceError(f"{where}: {error}", PriceFault.NEGATIVE if pico < 0 else PriceFault.IMPLAUSIBLE) from None
