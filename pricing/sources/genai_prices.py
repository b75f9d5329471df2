"""The package ``genai-prices``: what Hugging Face charges for partners' models, and what the partners charge themselves.

A missing price is unknown: the package does not distinguish free from unknown. Prices that cannot be expressed here (because
they depend on the time of day, on a service tier, or on a unit that is not metered) are left out and reported.

Each provider ``huggingface_<partner>`` is a copy of the router's list. Its tables have the source ``hf_router``, for routed
requests, so that a model which the router itself withdraws does not get its price back from the copy. The partners' own lists
become tables of the source ``genai_prices``, for requests on a partner's key. All tables are patches, because the package does
not record when a model was withdrawn. A price without a date takes effect at ``undated_from``, and so does an earlier price.

A price is for the model's id, which requests use as the name. If the package does not match the model by its id (Fireworks), it
is for the exact names that the package matches.

The package is not imported here; the caller passes ``genai_prices.data.providers``.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import product
from typing import Any, NamedTuple

from pricing.errors import InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.sources import hf_router
from pricing.sources.amounts import exact_price
from pricing.sources.fields import micros_of, read_name, read_provider
from pricing.sources.source_report import SkippedEntry, SkipReason, SourceReport
from pricing.sources.versions import PriceVersions
from pricing.tables import Layer

SOURCE = "genai_prices"
HUGGING_FACE = "huggingface_"

# Partners that Hugging Face routes to: the package's name, and Hugging Face's.
PARTNERS: Mapping[str, str] = {
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "fireworks": "fireworks-ai",
    "groq": "groq",
    "novita": "novita",
    "openai": "openai",
    "ovhcloud": "ovhcloud",
    "together": "together",
    "zai": "zai-org",
}

# The package's names of prices: the kind of quantity, and the number of units that the price is for. The block is one unit,
# except for time, which is priced by the hour.
_TOKENS = 1_000_000
_HOUR_MS = 3_600_000
_KEYS: Mapping[str, tuple[str, int]] = {
    "input_mtok": ("input_tokens", _TOKENS),
    "cache_read_mtok": ("cache_read_tokens", _TOKENS),
    "cache_write_mtok": ("cache_write_tokens", _TOKENS),
    "cache_write_1h_mtok": ("cache_write_1h_tokens", _TOKENS),
    "output_mtok": ("output_tokens", _TOKENS),
    "input_audio_mtok": ("input_audio_tokens", _TOKENS),
    "output_audio_mtok": ("output_audio_tokens", _TOKENS),
    "input_image_mtok": ("input_image_tokens", _TOKENS),
    "output_image_mtok": ("output_image_tokens", _TOKENS),
    "input_mchars": ("characters", _TOKENS),
    "audio_hours": ("audio_ms", _HOUR_MS),
    "input_audio_hours": ("audio_ms", _HOUR_MS),
    "output_audio_hours": ("audio_ms", _HOUR_MS),
    "requests_kcount": ("requests", 1_000),
}

# Prices of tools that the model may call. The price of the request does not include them.
_TOOLS = frozenset({"web_searches_kcount", "social_searches_kcount", "storage_searches_kcount", "code_executions_kcount"})

# The package bills at least ten seconds for these, which a rate cannot express.
_MINIMUM_CHARGE = frozenset({"groq whisper-large-v3", "groq whisper-large-v3-turbo"})


class _SkippedModelError(Exception):
    """A model with a price that cannot be expressed."""

    def __init__(self, reason: SkipReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _List(NamedTuple):
    """The source and route of the tables of a provider in the package, and the partner in Hugging Face's spelling."""

    source: str
    route: str
    partner: str


_Tiers = dict[int, dict[str, Price]]
"""The price of each kind, by the number of prompt tokens from which a tier applies; empty if the price is unknown."""


def parse_providers(
    providers: Iterable[Any],
    *,
    undated_from: int,
    version: str,
    layer: Layer = Layer.BUNDLED,
    recorded_at: int = 0,
) -> SourceReport:
    """Read the package's providers as tables of the router's list, then of the partners' own lists.

    Instants are microseconds since 1970, UTC; ``version`` is the package's, for the provenance of each rate. Raises
    InvalidPriceError with the entry: an impossible price, versions out of order or with the same date, a model listed twice.
    """
    lists = {hf_router.SOURCE: PriceVersions(), SOURCE: PriceVersions()}
    left_out: list[SkippedEntry] = []
    for provider in providers:
        of = _list_of(str(provider.id))
        if of is None:
            left_out.append(SkippedEntry(str(provider.id), SkipReason.NOT_A_PARTNER, "Hugging Face does not route to it"))
            continue
        provenance = f"genai-prices {version}, provider {provider.id}"
        for model in provider.models:
            entry = f"{provider.id} {read_name(model.id, 'id', f'{SOURCE}: {provider.id}')}"
            try:
                names = _names(model)
                dated = _dated_tiers(model, entry, undated_from)
            except _SkippedModelError as error:
                left_out.append(SkippedEntry(entry, error.reason, error.detail))
                continue
            left_out.extend(_left_out(model, entry, dated))
            for name, (effective_from, tiers) in product(names, dated.items()):
                rates = [
                    Rate(provider=of.partner, model=name, prices=prices, context_from=context_from, source=provenance)
                    for context_from, prices in tiers.items()
                ]
                key = (of.partner, name, ANY_OPERATION)
                lists[of.source].add(of.route, key, effective_from, rates, f"{SOURCE}: {entry}")
    return SourceReport(
        tuple(table for source, listed in lists.items() for table in listed.tables(source, layer, None, recorded_at)),
        tuple(sorted(left_out, key=lambda each: (each.entry, each.detail))),
    )


def _list_of(provider_id: str) -> _List | None:
    if provider_id.startswith(HUGGING_FACE):
        partner = read_provider(provider_id.removeprefix(HUGGING_FACE), f"{SOURCE}: {provider_id}")
        return _List(hf_router.SOURCE, hf_router.ROUTE, partner)
    partner = PARTNERS.get(provider_id, "")
    return _List(SOURCE, "provider_key", partner) if partner else None


def _names(model: Any) -> list[str]:
    """Return the names of a model in requests: its id, or the exact names that match it if the id does not."""
    if model.is_match(model.id):
        return [model.id]
    exact = [getattr(clause, "equals", None) for clause in getattr(model.match, "or_", [model.match])]
    names = sorted(name for name in exact if isinstance(name, str))
    if len(names) < len(exact):
        raise _SkippedModelError(SkipReason.NOT_A_MODEL, "matched by a pattern of names")
    return names


def _dated_tiers(model: Any, entry: str, undated_from: int) -> dict[int, _Tiers]:
    """Return the prices of a model by the instant at which they take effect, oldest first."""
    if entry in _MINIMUM_CHARGE:
        raise _SkippedModelError(SkipReason.CONDITION, "billed for at least ten seconds")
    where = f"{SOURCE}: {entry}"
    conditional = model.prices if isinstance(model.prices, list) else None
    if conditional is None:
        return {undated_from: _tiers(model.prices, where)}
    dated: dict[int, _Tiers] = {}
    previous: date | None = None
    for position, version in enumerate(conditional):
        start = _start(version.constraint)
        if position and (start is None or (previous is not None and start <= previous)):
            same = start == previous
            problem = "has two prices for the same date" if same else "has prices that are not ordered by date"
            raise InvalidPriceError(f"{where} {problem}", PriceFault.DUPLICATE if same else PriceFault.OUT_OF_ORDER)
        previous = start
        instant = undated_from if start is None else _midnight(start)
        dated[max(instant, undated_from)] = _tiers(version.prices, where if start is None else f"{where} from {start}")
    return dated


def _start(constraint: Any) -> date | None:
    """Return the day a price starts on; None if it has no condition. Raises _SkippedModelError for any other condition."""
    if constraint is None:
        return None
    start = getattr(constraint, "start_date", None)
    if not isinstance(start, date) or isinstance(start, datetime):
        raise _SkippedModelError(SkipReason.CONDITION, f"the price depends on {type(constraint).__name__}")
    return start


def _midnight(day: date) -> int:
    return micros_of(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _tiers(price: Any, where: str) -> _Tiers:
    """Return one version's prices by tier. In the package, a tier applies above ``start`` prompt tokens, exclusive."""
    stated = {name: value for name, value in vars(price).items() if value is not None and name not in _TOOLS}
    if unknown := sorted(stated.keys() - _KEYS.keys()):
        raise _SkippedModelError(SkipReason.UNKNOWN_KEY, ", ".join(unknown))
    starts = {tier.start for value in stated.values() for tier in getattr(value, "tiers", ())}
    if any(isinstance(start, bool) or not isinstance(start, int) or start < 0 for start in starts):
        raise InvalidPriceError(
            f"{where}: a tier must start at a whole number of tokens, got {excerpt(sorted(starts, key=str))}"
        )
    tiers: _Tiers = {}
    for start in [-1, *sorted(starts)] if stated else []:
        prices = tiers[start + 1] = {}
        for name, value in stated.items():
            kind, per = _KEYS[name]
            block = _HOUR_MS if per == _HOUR_MS else 1
            amount = _amount_above(value, start, f"{where}: {name}")
            priced = _exact(amount, kind, per, block, f"{where}: {name}")
            if prices.setdefault(kind, priced) != priced:
                raise _SkippedModelError(SkipReason.CONTRADICTION, f"{name} conflicts with another price of {kind}")
    return tiers


def _amount_above(value: Any, start: int, where: str) -> object:
    """Return the amount for prompts of more than ``start`` tokens."""
    if not hasattr(value, "tiers"):
        return value
    steps = {tier.start: tier.price for tier in value.tiers}
    if len(steps) < len(value.tiers):
        raise InvalidPriceError(f"{where}: two tiers start at the same number of tokens", PriceFault.DUPLICATE)
    below = [step for step in steps if step <= start]
    return steps[max(below)] if below else value.base


def _exact(amount: object, kind: str, per: int, block: int, where: str) -> Price:
    try:
        return exact_price(amount, kind, per=per, block=block, where=where)
    except InvalidPriceError as error:
        if error.fault is PriceFault.TOO_PRECISE:
            raise _SkippedModelError(SkipReason.TOO_PRECISE, str(error)) from None
        raise


def _left_out(model: Any, entry: str, dated: Mapping[int, _Tiers]) -> Iterator[SkippedEntry]:
    """Yield what else a model has: unknown prices, prices of tools, prices of other service tiers."""
    if not all(dated.values()):
        yield SkippedEntry(entry, SkipReason.NO_PRICE, "listed without a price", whole=not any(dated.values()))
    conditional = model.prices if isinstance(model.prices, list) else [model]
    for name in sorted({name for version in conditional for name in vars(version.prices) if name in _TOOLS}):
        yield SkippedEntry(entry, SkipReason.UNMETERED, name, whole=False)
    for variant in model.price_variants or ():
        condition = ", ".join(f"{key}={value}" for key, value in sorted(variant.when.items()))
        yield SkippedEntry(entry, SkipReason.VARIANT, condition, whole=False)
