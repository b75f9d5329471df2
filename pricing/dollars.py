"""Dollars as text. Amounts are integers; only here do they become strings.

Programs get a fixed number of decimals (``format_*``). People get the exact amount without trailing zeros, with thousands
separators and at least two decimals, at least four where cents would hide something (``display_*``).
"""

from pricing.errors import InvalidAmountError
from pricing.money import NANO_PER_USD, PICO_PER_CENT, PICO_PER_NANO, PICO_PER_USD


def format_nano(amount_nano: int) -> str:
    """Write nano-USD as a decimal string of dollars, all nine decimals: ``27.000000000``."""
    return _format_fixed(amount_nano, NANO_PER_USD, 9)


def format_pico(amount_pico: int) -> str:
    """Write pico-USD as a decimal string of dollars, all twelve decimals: ``0.000000112500``."""
    return _format_fixed(amount_pico, PICO_PER_USD, 12)


def format_cents(amount_pico: int) -> str:
    """Write pico-USD that are whole cents as dollars with two decimals: ``34.00``."""
    cents, lost = divmod(abs(amount_pico), PICO_PER_CENT)
    if lost:
        raise InvalidAmountError(f"{amount_pico} pico-USD is not a whole number of cents")
    return f"{'-' if amount_pico < 0 else ''}{cents // 100}.{cents % 100:02d}"


def display_pico(amount_pico: int) -> str:
    """Write pico-USD as dollars for people, exactly: ``27.00``, ``0.0012``, ``1,234.5678901``."""
    whole, _, decimals = shortest_usd(abs(amount_pico), PICO_PER_USD).partition(".")
    sign = "-" if amount_pico < 0 else ""
    return f"{sign}{int(whole):,}.{decimals.ljust(2 if len(decimals) <= 2 else 4, '0')}"


def display_nano(amount_nano: int) -> str:
    """Write nano-USD as dollars for people, exactly."""
    return display_pico(amount_nano * PICO_PER_NANO)


def display_cents(amount_cents: int) -> str:
    """Write whole cents as dollars for people."""
    return display_pico(amount_cents * PICO_PER_CENT)


def with_dollar_sign(amount: str) -> str:
    """Put a dollar sign into a displayed amount: ``-$2.00``. Text that is not an amount stays as it is."""
    if "." not in amount:
        return amount
    return f"-${amount[1:]}" if amount.startswith("-") else f"${amount}"


def shortest_usd(amount: int, unit_per_usd: int) -> str:
    """Write an integer count of ``1 / unit_per_usd`` dollars (a power of ten) exactly, without trailing zeros: ``0.88``."""
    whole, fraction = divmod(abs(amount), unit_per_usd)
    digits = str(unit_per_usd + fraction)[1:].rstrip("0")
    return f"{'-' if amount < 0 else ''}{whole}{f'.{digits}' if digits else ''}"


def _format_fixed(amount: int, unit_per_usd: int, decimals: int) -> str:
    whole, fraction = divmod(abs(amount), unit_per_usd)
    return f"{'-' if amount < 0 else ''}{whole}.{fraction:0{decimals}d}"
