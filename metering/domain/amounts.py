"""Money as people read it, and as programs do.

People get the exact amount, at least two decimals, and four as soon as cents would hide something. Programs get integer
nano-USD and the same amount as a decimal string of dollars.
"""

from pricing.money import PICO_PER_CENT, PICO_PER_NANO, format_nano, format_pico


def format_pico_usd(amount_pico: int) -> str:
    """Write pico-USD as dollars, exactly: ``27.00``, ``0.0012``, ``1,234.5678901``."""
    whole, _, decimals = format_pico(amount_pico).partition(".")
    kept = decimals.rstrip("0")
    sign = "-" if amount_pico < 0 else ""
    return f"{sign}{abs(int(whole)):,}.{kept.ljust(2 if len(kept) <= 2 else 4, '0')}"


def format_nano_usd(amount_nano: int) -> str:
    """Write nano-USD as dollars, exactly."""
    return format_pico_usd(amount_nano * PICO_PER_NANO)


def format_cents(amount_cents: int) -> str:
    """Write whole cents as dollars."""
    return format_pico_usd(amount_cents * PICO_PER_CENT)


def money(name: str, amount_nano: int | None) -> dict[str, int | str | None]:
    """Return an amount's two JSON fields, ``<name>_nano_usd`` and ``<name>_usd``; null where it is not known."""
    text = None if amount_nano is None else format_nano(amount_nano)
    return {f"{name}_nano_usd": amount_nano, f"{name}_usd": text}
