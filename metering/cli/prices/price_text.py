"""Prices for people: per million tokens, per second or hour, per image; their owner, and since when."""

from metering.domain.charges.quoted_prices import format_price
from metering.domain.instants import MICROS_PER_DAY, format_instant
from metering.domain.statements.statements import described
from pricing.dollars import display_pico
from pricing.rates import Rate
from pricing.tables import Layer

_MILLION = 1_000_000
_LAYERS = {Layer.OPERATOR: "your own", Layer.ROUTE: "the route's", Layer.BUNDLED: "bundled"}
PER_MILLION_KINDS = ("input_tokens", "output_tokens")
"""Kinds that have a separate column in lists of prices."""


def rate_in_words(rate: Rate, *, without: tuple[str, ...] = ()) -> str:
    """Return a rate's prices in words, without kinds that other prices cover."""
    return ", ".join(
        f"{_kind_in_words(kind)}{format_price(kind, price.pico, price.block)}"
        for kind, price in rate.prices.items()
        if kind not in without and (price.pico or not rate.measured)
    )


def per_million(rate: Rate, kind: str) -> str:
    """Return a rate's price for a million units of a kind; empty if it has none."""
    price = rate.prices.get(kind)
    return "" if price is None or rate.measured else display_pico(price.pico * _MILLION // price.block)


def _kind_in_words(kind: str) -> str:
    """Return a kind to write before its price; empty if the price names it already, as in ``/ image``."""
    if kind.endswith("_tokens"):
        return f"{described(kind).removesuffix(' tokens')} "
    return f"{described(kind)} " if kind.endswith("_ms") or kind == "characters" else ""


def which_rate(rate: Rate) -> str:
    """Return what distinguishes a rate from others of its model: operation and context tier; empty if nothing does."""
    operation = f", {rate.operation}" if rate.operation else ""
    return operation + (f", from {rate.context_from:,} tokens" if rate.context_from else "")


def tier_in_words(rate: Rate) -> str:
    """Return a rate's context tier to write before its prices; empty for the lowest."""
    return f"from {rate.context_from:,} tokens: " if rate.context_from else ""


def owner(layer: Layer, account: str) -> str:
    """Return the owner of a layer's prices; ``account`` is the name of the account on the account layer."""
    return account if layer is Layer.ACCOUNT else _LAYERS[layer]


def since(instant: int) -> str:
    """Return an instant at which prices change: the date if it is midnight UTC, otherwise to the second."""
    text = format_instant(instant)
    return text[:10] if instant % MICROS_PER_DAY == 0 else f"{text[:10]} {text[11:19]}Z"
