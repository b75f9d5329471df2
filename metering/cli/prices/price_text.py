"""A price as people read it: per million tokens, per second or hour of time, per image; whose it is, and since when."""

from metering.domain.charges.quoted_prices import format_price
from metering.domain.instants import MICROS_PER_DAY, format_instant
from metering.domain.statements.statements import described
from pricing.dollars import display_pico
from pricing.rates import Rate
from pricing.tables import Layer

_MILLION = 1_000_000
_LAYERS = {Layer.OPERATOR: "your own", Layer.ROUTE: "the route's", Layer.BUNDLED: "bundled"}
PER_MILLION_KINDS = ("input_tokens", "output_tokens")
"""What has a column of its own where prices are listed."""


def rate_in_words(rate: Rate, *, without: tuple[str, ...] = ()) -> str:
    """Return a rate's prices in words; what is covered by another price is left out."""
    return ", ".join(
        f"{_kind_in_words(kind)}{format_price(kind, price.pico, price.block)}"
        for kind, price in rate.prices.items()
        if kind not in without and (price.pico or not rate.measured)
    )


def per_million(rate: Rate, kind: str) -> str:
    """Return a rate's price of a million of a kind; nothing where it has none of its own."""
    price = rate.prices.get(kind)
    return "" if price is None or rate.measured else display_pico(price.pico * _MILLION // price.block)


def _kind_in_words(kind: str) -> str:
    """Return a kind as it stands before its price; nothing where ``/ image`` says it already."""
    if kind.endswith("_tokens"):
        return f"{described(kind).removesuffix(' tokens')} "
    return f"{described(kind)} " if kind.endswith("_ms") or kind == "characters" else ""


def which_rate(rate: Rate) -> str:
    """Return what tells a rate from others of its model: operation and context tier; nothing where there are none."""
    operation = f", {rate.operation}" if rate.operation else ""
    return operation + (f", from {rate.context_from:,} tokens" if rate.context_from else "")


def tier_in_words(rate: Rate) -> str:
    """Return a rate's context tier as it stands before its prices; nothing for the lowest."""
    return f"from {rate.context_from:,} tokens: " if rate.context_from else ""


def whose(layer: Layer, account: str) -> str:
    """Return whose prices a layer holds; ``account`` is the name of the account that has prices of its own."""
    return account if layer is Layer.ACCOUNT else _LAYERS[layer]


def since(instant: int) -> str:
    """Return an instant at which prices change: the date where it is midnight UTC, else to the second."""
    text = format_instant(instant)
    return text[:10] if instant % MICROS_PER_DAY == 0 else f"{text[:10]} {text[11:19]}Z"
