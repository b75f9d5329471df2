"""Money as people read it, and as programs do.

People get the exact amount, at least two decimals, and four as soon as cents would hide something. Programs get integer
nano-USD and the same amount as a decimal string of dollars.
"""

from pricing.dollars import format_nano


def money(name: str, amount_nano: int | None) -> dict[str, int | str | None]:
    """Return an amount's two JSON fields, ``<name>_nano_usd`` and ``<name>_usd``; null where it is not known."""
    text = None if amount_nano is None else format_nano(amount_nano)
    return {f"{name}_nano_usd": amount_nano, f"{name}_usd": text}
