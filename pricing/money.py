"""Money is integers.

Charges are nano-USD (1e-9 USD, the unit of Hugging Face's Billing API); prices and statement lines are pico-USD (1e-12).
A charge is rounded up to nano-USD once per request, as HF does ("a fraction is rounded up"); a payable total is rounded
to cents once, half away from zero.
"""

from decimal import Decimal, InvalidOperation

from pricing.errors import InvalidAmountError

PICO_PER_USD = 1_000_000_000_000
NANO_PER_USD = 1_000_000_000
PICO_PER_NANO = 1_000
NANO_PER_CENT = 10_000_000
PICO_PER_CENT = 10_000_000_000

# Integers up to here survive JSON readers that use doubles.
MAX_AMOUNT_NANO = 2**53 - 1

# What one request can cost, about $8,796: 2^20 such charges still sum within 64 bits, so that it takes a million requests of
# this price, under one rate, to fill a counter.
MAX_CHARGE_NANO = 2**43 - 1


def divide_up(numerator: int, denominator: int) -> int:
    """Divide and round towards positive infinity; ``denominator`` is positive."""
    return -(-numerator // denominator)


def divide_half_away(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, halves away from zero; ``denominator`` is positive."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def round_to_cents(amount_pico: int) -> int:
    """Round a pico-USD amount to whole cents, half away from zero; the answer is still pico-USD."""
    return divide_half_away(amount_pico, PICO_PER_CENT) * PICO_PER_CENT


def parse_usd(text: str, *, unit_per_usd: int) -> int:
    """Read a decimal dollar amount exactly, as an integer count of ``1 / unit_per_usd`` dollars (a power of ten).

    Raises InvalidAmountError for what is not a finite decimal number, or has more digits than the unit can hold.
    """
    text = text.strip()
    try:
        # Decimal also reads 1_000 and the digits of other scripts; nobody writes a price so on purpose.
        amount = Decimal(text if text.isascii() and "_" not in text else "")
    except InvalidOperation:
        raise InvalidAmountError(f"{text[:40]!r} is not a decimal number of dollars") from None
    if not amount.is_finite():
        raise InvalidAmountError(f"{text[:40]!r} is not a finite number of dollars")
    sign, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int) or len(digits) > 30 or abs(exponent) > 30:
        raise InvalidAmountError(f"{text[:40]!r} is not a plausible number of dollars")
    magnitude = int("".join(map(str, digits))) * unit_per_usd
    if exponent >= 0:
        magnitude *= int(10**exponent)
    else:
        magnitude, lost = divmod(magnitude, int(10**-exponent))
        if lost:
            raise InvalidAmountError(f"{text!r} has more than {len(str(unit_per_usd)) - 1} decimals")
    return -magnitude if sign else magnitude
