"""LiteLLM's price map: the partners' list prices, including images, videos and cached tokens.

A price of 0 is unknown: the map uses 0 for free, for unknown and for not applicable, without a distinction. If a cost in an
entry cannot be interpreted, the whole entry is left out: a price that depends on something that is not metered (the size of an
image, the resolution of a video, pages, searches) would be wrong for most requests. Prices are USD per token, image, second or
character, without dates.

One document becomes one table: a snapshot of the source ``litellm``, for requests on a partner's key. Models that a later map
does not list are withdrawn. Partners are in Hugging Face's spelling; models have the partner's own names, without LiteLLM's
prefix.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pricing.errors import InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.sources.amounts import exact_price
from pricing.sources.fields import read_name
from pricing.sources.json_documents import read_json_object
from pricing.sources.source_report import SkippedEntry, SkipReason, SourceReport
from pricing.tables import Layer, PriceTable, RateKey, TableKind

SOURCE = "litellm"
ROUTE = "provider_key"
PROVENANCE = "LiteLLM price map, {entry}"

# Partners that Hugging Face routes to: LiteLLM's name, and Hugging Face's.
PARTNERS: Mapping[str, str] = {
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepinfra": "deepinfra",
    "fal_ai": "fal-ai",
    "featherless_ai": "featherless-ai",
    "fireworks_ai": "fireworks-ai",
    "groq": "groq",
    "hyperbolic": "hyperbolic",
    "nebius": "nebius",
    "novita": "novita",
    "nscale": "nscale",
    "openai": "openai",
    "ovhcloud": "ovhcloud",
    "publicai": "publicai",
    "replicate": "replicate",
    "sambanova": "sambanova",
    "scaleway": "scaleway",
    "together_ai": "together",
    "wavespeed": "wavespeed",
    "zai": "zai-org",
}

_TOKEN_KEYS: Mapping[str, str] = {
    "input_cost_per_token": "input_tokens",
    "cache_read_input_token_cost": "cache_read_tokens",
    "input_cost_per_token_cache_hit": "cache_read_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "output_cost_per_token": "output_tokens",
    "output_cost_per_reasoning_token": "output_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "output_cost_per_image_token": "output_image_tokens",
    "input_cost_per_character": "characters",
    "output_cost_per_character": "characters",
}

# The kind of a price per second or image depends on the mode: (mode, key) -> kind.
_MODE_KEYS: Mapping[tuple[str, str], str] = {
    ("image_generation", "output_cost_per_image"): "images",
    ("video_generation", "output_cost_per_second"): "video_ms",
    ("audio_transcription", "input_cost_per_second"): "audio_ms",
    ("audio_transcription", "output_cost_per_second"): "audio_ms",
    ("audio_speech", "output_cost_per_second"): "audio_ms",
}
_SECOND_MS = 1_000

# Prices of other service tiers, and of tools that the model may call. The other prices apply without them.
_OPTIONAL = re.compile(r".*_(priority|flex|batches)|search_context_cost_per_query|.*_cost_per_session|file_search_.*", re.ASCII)
_TIER = re.compile(r"(?P<key>.+)_above_(?P<thousands>\d{1,7})k_tokens", re.ASCII)

# An entry by quality and size, "low/1024-x-768/openai/gpt-image-2": the model's price depends on them.
_SIZED = re.compile(r"(?:[a-z]+/)?\d+-x-\d+/(?P<model>.+)", re.ASCII)
_ASSUMED = re.compile(r"\bassumed\b", re.IGNORECASE)

_Prices = dict[str, Price]


class _SkippedEntryError(Exception):
    """An entry with a price that cannot be expressed."""

    def __init__(self, reason: SkipReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def parse_price_map(
    document: str | bytes,
    *,
    effective_from: int,
    name: str = SOURCE,
    layer: Layer = Layer.BUNDLED,
    recorded_at: int = 0,
) -> SourceReport:
    """Read the price map as one table of the partners' prices, effective from ``effective_from``.

    Instants are microseconds since 1970, UTC; ``name`` identifies the document in messages. Raises InvalidPriceError with the
    entry: a price that is negative, not a number or implausible, or a model with two prices.
    """
    entries = read_json_object(document, name)
    sized = {found["model"] for found in map(_SIZED.fullmatch, map(_native, entries)) if found}
    priced: dict[RateKey, tuple[str, dict[int, _Prices]]] = {}
    left_out: list[SkippedEntry] = []
    for label, entry in entries.items():
        where = f"{name}: {read_name(label, 'a name', name)}"
        if not isinstance(entry, dict):
            raise InvalidPriceError(f"{where} must be an object, got {excerpt(entry)}")
        omitted: list[SkippedEntry] = []
        try:
            key = _key_of(label, entry, sized)
            tiers = _tiers(label, entry, where, omitted)
        except _SkippedEntryError as error:
            left_out.append(SkippedEntry(label, error.reason, error.detail))
            continue
        if priced.setdefault(key, (label, tiers))[1] != tiers:
            other = priced[key][0]
            raise InvalidPriceError(f"{where}: {key[0]} {key[1]} has a different price in {other}", PriceFault.DUPLICATE)
        left_out.extend(omitted)
    rates = [rate for key, (label, tiers) in priced.items() for rate in _rates(key, label, tiers)]
    table = PriceTable(
        source=SOURCE,
        layer=layer,
        kind=TableKind.SNAPSHOT,
        effective_from=effective_from,
        rates=tuple(rates),
        route=ROUTE,
        recorded_at=recorded_at,
    )
    return SourceReport((table,), tuple(sorted(left_out, key=lambda each: (each.entry, each.detail))))


def _native(label: str) -> str:
    """Return the partner's own name of a model: the map's name without the provider."""
    provider, slash, model = label.partition("/")
    return model if slash and provider in PARTNERS else label


def _key_of(label: str, entry: Mapping[str, Any], sized: set[str]) -> RateKey:
    provider = entry.get("litellm_provider")
    if not isinstance(provider, str) or provider not in PARTNERS:
        raise _SkippedEntryError(SkipReason.NOT_A_PARTNER, f"Hugging Face does not route to {excerpt(provider)}")
    model = _native(label)
    if model == label and label.startswith(f"{provider.replace('_', '-')}-"):
        raise _SkippedEntryError(SkipReason.NOT_A_MODEL, "a size class, not a model")
    if _SIZED.fullmatch(model) or model in sized:
        raise _SkippedEntryError(SkipReason.UNMETERED, "the price depends on the size and quality of an image")
    if _ASSUMED.search(str(entry.get("metadata", ""))):
        raise _SkippedEntryError(SkipReason.GUESSED_BY_SOURCE, "the map notes that a part of the price is assumed")
    return PARTNERS[provider], model, ANY_OPERATION


def _tiers(label: str, entry: Mapping[str, Any], where: str, omitted: list[SkippedEntry]) -> dict[int, _Prices]:
    """Return an entry's prices by the number of prompt tokens from which a tier applies; append the rest to ``omitted``."""
    tiers: dict[int, _Prices] = {}
    stated = False
    for field in sorted(field for field in entry if "cost" in field or "pricing" in field):
        amount = entry[field]
        if amount is None:
            continue
        if _OPTIONAL.fullmatch(field):
            omitted.append(SkippedEntry(label, SkipReason.VARIANT, field, whole=False))
            continue
        tier = _TIER.fullmatch(field)
        key, context_from = (tier["key"], int(tier["thousands"]) * 1_000 + 1) if tier else (field, 0)
        kind, per = _kind_of(key, entry.get("mode"))
        price = _price(amount, kind, per, f"{where}: {field}")
        stated = True
        if not price.pico:
            omitted.append(SkippedEntry(label, SkipReason.ZERO_PRICE, field, whole=False))
        elif tiers.setdefault(context_from, {}).setdefault(kind, price) != price:
            raise _SkippedEntryError(SkipReason.CONTRADICTION, f"{field} conflicts with another price of {kind}")
    if not tiers:
        raise _SkippedEntryError(
            *((SkipReason.ZERO_PRICE, "all prices are 0") if stated else (SkipReason.NO_PRICE, "listed without a price"))
        )
    if 0 not in tiers:
        raise _SkippedEntryError(SkipReason.NO_PRICE, "no price below the first tier")
    return tiers


def _kind_of(key: str, mode: object) -> tuple[str, int]:
    """Return the kind of quantity of a cost, and the number of units it is for."""
    if key in _TOKEN_KEYS:
        return _TOKEN_KEYS[key], 1
    kind = _MODE_KEYS.get((str(mode), key))
    if kind is None:
        raise _SkippedEntryError(SkipReason.UNMETERED, f"{key} in mode {mode}")
    return kind, _SECOND_MS if kind.endswith("_ms") else 1


def _price(amount: object, kind: str, per: int, where: str) -> Price:
    try:
        return exact_price(amount, kind, per=per, block=per, where=where)
    except InvalidPriceError as error:
        if error.fault is PriceFault.TOO_PRECISE:
            raise _SkippedEntryError(SkipReason.TOO_PRECISE, str(error)) from None
        raise


def _rates(key: RateKey, label: str, tiers: Mapping[int, _Prices]) -> Iterator[Rate]:
    provider, model, operation = key
    for context_from, prices in sorted(tiers.items()):
        # A flat price per image covers its size.
        covered = {"megapixels": Price(0)} if prices.keys() == {"images"} else {}
        yield Rate(
            provider=provider,
            model=model,
            operation=operation,
            prices={**prices, **covered},
            context_from=context_from,
            source=PROVENANCE.format(entry=label),
        )
