"""The router's ``GET /v1/models``: what Hugging Face charges for each model at each partner, now.

A missing price is unknown, never free. A price of 0 is free only if the entry has ``is_free``; otherwise a client may have
filled a gap with 0, so it is unknown, too. Prices are USD per million tokens. The router publishes input and output prices, for
chat models only.

One document becomes one table: a snapshot of the source ``hf_router`` on the ROUTE layer, for routed requests. The bundled
tables of the same list have the same source on the BUNDLED layer, and the price book combines layers by source:

- A model that the document prices has that price, whatever the bundled tables contain.
- A model that the document lists without a price, or that an earlier document listed and this one does not, is *withdrawn*. The
  price book then ignores the bundled tables of the same source, so an outdated price cannot come back.
- A model that only the bundled tables list has to be withdrawn by name, because a snapshot withdraws nothing in other layers.
  ``listed_before`` are the keys that the source priced until now; those that the document leaves out are withdrawn by name.

A partner's own list (a different source) still applies to models that the router withdraws, because Hugging Face adds nothing
to the partners' prices.
"""

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

from pricing.errors import InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.sources.amounts import exact_price
from pricing.sources.fields import read_name, read_provider
from pricing.sources.json_documents import read_json_object
from pricing.sources.source_report import SkippedEntry, SkipReason, SourceReport
from pricing.tables import Layer, PriceTable, RateKey, TableKind

SOURCE = "hf_router"
ROUTE = "routed"
PROVENANCE = "Hugging Face router /v1/models"

_PRICES = {"input": "input_tokens", "output": "output_tokens"}
_TOKENS = 1_000_000


def parse_models(
    document: str | bytes,
    *,
    effective_from: int,
    listed_before: Collection[RateKey] = (),
    name: str = SOURCE,
    recorded_at: int = 0,
) -> SourceReport:
    """Read a ``/v1/models`` document as one table, effective from ``effective_from``.

    Instants are microseconds since 1970, UTC; ``name`` identifies the document in messages. Entries without a price are
    reported. Raises InvalidPriceError with the entry; then nothing of the document is used.
    """
    models = read_json_object(document, name).get("data")
    if not isinstance(models, list) or not models:
        raise InvalidPriceError(f"{name}: data must be a non-empty list of models, got {excerpt(models)}")
    rates: list[Rate] = []
    unknown: dict[RateKey, SkippedEntry] = {}
    partial: list[SkippedEntry] = []
    listed: set[RateKey] = set()
    for model, offer, where in _offers(models, name):
        key = (read_provider(offer.get("provider"), where), model, ANY_OPERATION)
        here = f"{name}: {key[0]} {model}"
        if key in listed:
            raise InvalidPriceError(f"{here}: listed twice", PriceFault.DUPLICATE)
        listed.add(key)
        prices, left_out = _prices(offer, here, entry=f"{key[0]} {model}")
        if prices:
            rates.append(Rate(provider=key[0], model=model, prices=prices, source=PROVENANCE))
            partial.extend(left_out)
        else:
            unknown[key] = left_out[0]
    table = PriceTable(
        source=SOURCE,
        layer=Layer.ROUTE,
        kind=TableKind.SNAPSHOT,
        effective_from=effective_from,
        rates=tuple(rates),
        withdrawn=frozenset(unknown) | (frozenset(listed_before) - listed),
        route=ROUTE,
        recorded_at=recorded_at,
    )
    return SourceReport((table,), tuple(sorted([*unknown.values(), *partial], key=lambda each: (each.entry, each.detail))))


def _offers(models: list[Any], name: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each partner's offer of each model, with the model and its place for messages."""
    for position, entry in enumerate(models, start=1):
        if not isinstance(entry, dict):
            raise InvalidPriceError(f"{name}: model {position} must be an object, got {excerpt(entry)}")
        model = read_name(entry.get("id"), "id", f"{name}: model {position}")
        providers = entry.get("providers")
        if not isinstance(providers, list):
            raise InvalidPriceError(f"{name}: {model}: providers must be a list, got {excerpt(providers)}")
        for number, offer in enumerate(providers, start=1):
            where = f"{name}: {model}: provider {number}"
            if not isinstance(offer, dict):
                raise InvalidPriceError(f"{where} must be an object, got {excerpt(offer)}")
            yield model, offer, where


def _prices(offer: dict[str, Any], where: str, entry: str) -> tuple[dict[str, Price], list[SkippedEntry]]:
    """Return an offer's prices, none if they are unknown, and what was left out."""
    is_free, published = _published(offer, where)
    amounts = {kind: published[label] for label, kind in _PRICES.items() if published.get(label) is not None}
    prices = {kind: _price(amount, kind, where) for kind, amount in amounts.items()}
    nonzero = {kind: price for kind, price in prices.items() if price.pico}
    if is_free:
        if nonzero:
            return {}, [SkippedEntry(entry, SkipReason.CONTRADICTION, "is_free with a price above zero")]
        return {kind: Price(0) for kind in _PRICES.values()}, []
    if not nonzero:
        reason, detail = (
            (SkipReason.ZERO_PRICE, "0 without is_free") if prices else (SkipReason.NO_PRICE, "listed without a price")
        )
        return {}, [SkippedEntry(entry, reason, detail)]
    return nonzero, _missing(entry, prices, published)


def _published(offer: dict[str, Any], where: str) -> tuple[bool, dict[str, Any]]:
    """Return whether an offer is free, and its published prices by name."""
    is_free, pricing = offer.get("is_free"), offer.get("pricing")
    if is_free is not None and not isinstance(is_free, bool):
        raise InvalidPriceError(f"{where}: is_free must be true or false, got {excerpt(is_free)}")
    if pricing is not None and not isinstance(pricing, dict):
        raise InvalidPriceError(f"{where}: pricing must be an object, got {excerpt(pricing)}")
    published = pricing or {}
    if published.get("currency", "USD") != "USD":
        currency = excerpt(published["currency"])
        raise InvalidPriceError(f"{where}: currency must be USD, got {currency}; prices are not converted", PriceFault.CURRENCY)
    return bool(is_free), published


def _missing(entry: str, prices: dict[str, Price], published: dict[str, Any]) -> list[SkippedEntry]:
    """Return the kinds that an offer does not price, and the published prices that are not read."""
    kinds = [kind for kind in _PRICES.values() if kind not in prices or not prices[kind].pico]
    labels = [label for label in published if label not in _PRICES and label != "currency"]
    return [
        *(
            SkippedEntry(entry, SkipReason.ZERO_PRICE if kind in prices else SkipReason.NO_PRICE, kind, whole=False)
            for kind in kinds
        ),
        *(SkippedEntry(entry, SkipReason.UNKNOWN_KEY, f"pricing.{label}", whole=False) for label in labels),
    ]


def _price(amount: int | Decimal, kind: str, where: str) -> Price:
    label = next(label for label, priced in _PRICES.items() if priced == kind)
    return exact_price(amount, kind, per=_TOKENS, where=f"{where}: pricing.{label}")
