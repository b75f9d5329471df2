"""A published amount becomes a price exactly, or not at all.

A price is an integer of pico-USD per block of units. What binary fractions left in a published number
(1.0399999999999998 for 1.04) is taken out; a number that really has more digits than the integer can hold is refused, and so
is a price that nobody ever asked for: a unit mistaken for another is wrong by a thousand or a million.
"""

from decimal import Decimal

from pricing.dollars import shortest_usd
from pricing.errors import InvalidAmountError, InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.money import PICO_PER_USD, parse_usd
from pricing.quoting import quoted_per
from pricing.rates import Price

# The largest price that is believed, in dollars. The dearest tokens published so far cost 600 per million (o1-pro, output).
MAX_USD = {"per million": 1_000, "each": 100, "per second": 10}

# 1e-9 dollars per million units: far above what a binary fraction leaves in a price, far below the sixth decimal.
_ARTEFACTS_PER_PICO = 1_000


def exact_price(amount: object, kind: str, *, per: int, where: str, block: int = 1) -> Price:
    """Return ``amount`` dollars for ``per`` units of ``kind`` as the price of a block of ``block`` units.

    ``amount`` is a Decimal or an int, as an exact reader gives them. Raises InvalidPriceError that begins with ``where``.
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
    # Nearest whole pico-USD, in integers: decimals round to 28 digits without a word.
    scaled, units = numerator * PICO_PER_USD * block, denominator * per
    pico = (2 * scaled + units) // (2 * units)
    if abs(scaled - pico * units) * _ARTEFACTS_PER_PICO > units:
        raise InvalidPriceError(
            f"{where}: {excerpt(amount)} has more decimals than a price can hold, and not because of a binary fraction",
            PriceFault.TOO_PRECISE,
        )
    return believable(pico, kind, where=where, block=block)


def written_price(text: str, kind: str, *, per_usd: int, where: str, block: int = 1) -> Price:
    """Return the price that a person wrote, counted in ``1 / per_usd`` dollars per ``block`` units; nothing is rounded.

    Raises InvalidPriceError that begins with ``where``.
    """
    try:
        amount = parse_usd(text, unit_per_usd=per_usd)
    except InvalidAmountError as error:
        raise InvalidPriceError(f"{where}: {error}") from None
    return believable(amount, kind, where=where, block=block)


def believable(pico: int, kind: str, *, where: str, block: int = 1) -> Price:
    """Return a price of ``pico`` pico-USD per ``block`` units of ``kind`` if anybody ever asked for such a price.

    Raises InvalidPriceError that begins with ``where``: negative, or beyond the largest price that is believed.
    """
    units, words = quoted_per(kind)
    if pico * units > MAX_USD[words] * PICO_PER_USD * block:
        asked = shortest_usd(pico * units // block, PICO_PER_USD)
        raise InvalidPriceError(
            f"{where}: {asked} dollars {words} is beyond the {MAX_USD[words]} that are believed; is it in another unit?",
            PriceFault.IMPLAUSIBLE,
        )
    try:
        return Price(pico, block)
    except InvalidPriceError as error:
        raise InvalidPriceError(f"{where}: {error}", PriceFault.NEGATIVE if pico < 0 else PriceFault.IMPLAUSIBLE) from None
