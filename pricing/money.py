"""Money is integers.

Charges are nano-USD (1e-9 USD, the unit of Hugging Face's Billing API). Prices and statement lines are pico-USD (1e-12). A
charge is rounded up to nano-USD once per request, as HF does ("a fraction is rounded up"). A payable total is rounded to cents
once, half away from zero.
"""

from decimal import Decimal, InvalidOperation

from pricing.errors import InvalidAmountError

PICO_PER_USD = 1_000_000_000_000
NANO_PER_USD = 1_000_000_000
PICO_PER_NANO = 1_000
NANO_PER_CENT = 10_000_000
PICO_PER_CENT = 10_000_000_000

# The largest integer that JSON readers with doubles read exactly.
MAX_AMOUNT_NANO = 2**53 - 1

# The largest charge for one request, about $8,796. The sum of 2^20 such charges still fits into 64 bits, so it would take a
# million of them under one rate to overflow a counter.
MAX_CHARGE_NANO = 2**43 - 1


def divide_up(numerator: int, denominator: int) -> int:
    """Divide and round toward positive infinity; ``denominator`` is positive."""
    return -(-numerator // denominator)


def divide_half_away(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, halves away from zero; ``denominator`` is positive."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def round_to_cents(amount_pico: int) -> int:
    """Round a pico-USD amount to whole cents, half away from zero; the result is in pico-USD."""
    return divide_half_away(amount_pico, PICO_PER_CENT) * PICO_PER_CENT


def parse_usd(text: str, *, unit_per_usd: int) -> int:
    """Parse a decimal dollar amount exactly, as an integer number of ``1 / unit_per_usd`` dollars (a power of ten).

    Raises InvalidAmountError for text that is not a finite decimal number, or has more decimals than the unit.
    """
    text = text.strip()
    try:
        # Decimal also accepts 1_000 and digits of other scripts, which no price list uses on purpose.
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
