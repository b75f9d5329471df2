"""What a FOCUS file says about a SKU: its meter, and the details of its price.

Properties that the specification does not define start with ``x_``. The names follow the draft of FOCUS 1.5, which defines
``TokenDirection`` and ``TokenCacheAction``: reading from a cache or writing to it has a different price on the same meter.
"""

import json

from metering.domain.statements.statements import described
from pricing.quantities import KINDS, TOKEN_KINDS, QuantityUse
from pricing.rates import CACHE_KINDS, Rate

_DIRECTIONS = {QuantityUse.PROMPT: "Input", QuantityUse.OUTPUT: "Output"}


def sku_meter(kind: str) -> str:
    """Return what is measured: ``Input Tokens`` whether or not they were cached, ``Output Tokens``, ``Compute Time``."""
    return described("input_tokens" if kind in CACHE_KINDS else kind).title()


def price_details(kind: str, rate: Rate) -> str:
    """Return the properties of the price of a kind of quantity as a JSON object; all of them follow from the SkuPriceId."""
    details = {"x_Model": rate.model}
    if rate.operation:
        details["x_Operation"] = rate.operation
    if kind in TOKEN_KINDS:
        details |= {"x_TokenDirection": _DIRECTIONS[KINDS[kind].use], "x_TokenCacheAction": _cache_action(kind)}
    if kind == "cache_write_1h_tokens":
        details["x_TokenCacheDuration"] = "1h"
    if rate.context_from:
        # A text: the specification reads a number as an amount for one PricingUnit.
        details["x_ContextTokensFrom"] = str(rate.context_from)
    return _json(details)


def details_of_model(model: str) -> str:
    """Return the properties of a price that is known for a model as a whole."""
    return _json({"x_Model": model})


def details_of_plan(plan: str) -> str:
    """Return the properties of the price of a subscription."""
    return _json({"x_Plan": plan})


def _cache_action(kind: str) -> str:
    if kind not in CACHE_KINDS:
        return "Uncached"
    return "Read" if kind == "cache_read_tokens" else "Write"


def _json(details: dict[str, str]) -> str:
    return json.dumps(details, ensure_ascii=False, separators=(",", ":"))
