"""Prices and quantities for people: per million tokens, per second or hour, per image."""

from metering.domain.statements.statements import unit_of
from pricing.dollars import display_pico

_MILLION = 1_000_000
_PER_TIME = {1: "ms", 1_000: "s", 60_000: "min", 3_600_000: "h"}


def price_per(kind: str, price_pico: int, block: int) -> tuple[str, str]:
    """Return a price as (dollars, unit). It is ``price_pico`` pico-USD for ``block`` units of a kind of quantity."""
    if kind.endswith("_ms"):
        return display_pico(price_pico), _PER_TIME.get(block, f"{block:,} ms")
    if kind.endswith("_tokens") or kind == "characters":
        per_million = price_pico * _MILLION
        if per_million % block == 0:
            return display_pico(per_million // block), "1M"
    unit = unit_of(kind)
    return display_pico(price_pico), unit if block == 1 else f"{block:,} {unit}s"


def format_price(kind: str, price_pico: int, block: int) -> str:
    """Return a price as ``$1.04 / 1M``; a price of 0 is ``included``."""
    if not price_pico:
        return "included"
    dollars, per = price_per(kind, price_pico, block)
    return f"${dollars} / {per}"


def format_quantity(kind: str, count: int) -> str:
    """Return a quantity as ``1,234``, or as ``1.500 s`` for time."""
    if not kind.endswith("_ms"):
        return f"{count:,}"
    seconds, milliseconds = divmod(abs(count), 1_000)
    sign = "-" if count < 0 else ""
    return f"{sign}{seconds:,}.{milliseconds:03d} s" if milliseconds else f"{sign}{seconds:,} s"
