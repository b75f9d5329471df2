"""The price sheet: dated prices in YAML, bundled or your own.

A sheet is one price list (``source``). Each model has versions, each effective from its instant until the next. A new price
is a new version, never an edit. Every price has its unit in its key (``usd_per_million``), and every version has its source. An
entry that cannot be read exactly raises an error with its name; nothing is guessed, rounded or left out.
"""

from collections.abc import Mapping

from pricing.errors import InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.quantities import PRICED_KINDS, REQUESTS
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.sources.amounts import price_from_text
from pricing.sources.fields import (
    MAX_NAME_LENGTH,
    MAX_SOURCE_LENGTH,
    ROUTES,
    read_context_from,
    read_instant,
    read_name,
    read_provider,
)
from pricing.sources.plain_yaml import Plain, PlainYamlError, read_plain_yaml
from pricing.sources.units import UNITS, Unit
from pricing.sources.versions import PriceVersions
from pricing.tables import ANY_ROUTE, Layer, PriceTable, RateKey

_KEYS = {f"usd_per_{name}": unit for name, unit in UNITS.items()}
_PRICE_KEYS = frozenset({*_KEYS, "included"})
_ABSENT_KEYS = frozenset({"withdrawn", "unknown"})


def parse_sheet(
    text: str | bytes,
    *,
    name: str,
    layer: Layer,
    account_id: int | None = None,
    recorded_at: int = 0,
) -> tuple[PriceTable, ...]:
    """Read a price sheet as one table (a patch) per route and instant, in that order.

    ``name`` identifies the sheet in messages (its file name). ``recorded_at`` is in microseconds since 1970, UTC. Raises
    InvalidPriceError with the entry and the error.
    """
    try:
        document = read_plain_yaml(text)
    except PlainYamlError as error:
        raise InvalidPriceError(f"{name}: {error}", PriceFault.UNREADABLE) from None
    sheet = _mapping(document, name, {"source", "route", "currency", "models"}, {"provider"})
    source = read_name(sheet["source"], "source", name)
    routes = _routes(sheet["route"], name)
    if sheet["currency"] != "USD":
        currency = excerpt(sheet["currency"])
        raise InvalidPriceError(f"{name}: currency must be USD, got {currency}; prices are not converted", PriceFault.CURRENCY)
    versions = PriceVersions()
    for position, entry in enumerate(_items(sheet["models"], f"{name}: models"), start=1):
        key, listed, where = _model(entry, sheet, name, position)
        for version in listed:
            start, effective_from = _start(version, where)
            here = f"{where} from {start}"
            priced = _read_version(version, key, here)
            for route in sorted(routes):
                versions.add(route, key, effective_from, priced, here)
    return versions.tables(source, layer, account_id, recorded_at)


def _model(entry: Plain, sheet: dict[str, Plain], name: str, position: int) -> tuple[RateKey, list[Plain], str]:
    """Return the key of one entry, its versions, and its place for messages."""
    where = f"{name}: model {position}"
    model = _mapping(entry, where, {"model", "versions"}, {"operation", "provider"})
    if "provider" not in model and "provider" not in sheet:
        raise InvalidPriceError(f"{where}: no provider, neither for the model nor for the sheet")
    provider = read_provider((model if "provider" in model else sheet)["provider"], where)
    operation = read_name(model["operation"], "operation", where) if "operation" in model else "any"
    key = (provider, read_name(model["model"], "model", where), ANY_OPERATION if operation == "any" else operation)
    where = f"{name}: {provider} {key[1]}" + (f" ({operation})" if operation != "any" else "")
    return key, _items(model["versions"], f"{where}: versions"), where


def _start(version: Plain, where: str) -> tuple[str, int]:
    """Return a version's ``from`` as written and as an instant. It is read first, to identify the version in messages."""
    if not isinstance(version, dict):
        raise InvalidPriceError(f"{where}: a version must be a mapping, got {excerpt(version)}")
    start = version.get("from")
    if not isinstance(start, str) or not start:
        raise InvalidPriceError(f"{where}: a version has no from; add the instant at which its price takes effect")
    return start[:40], read_instant(start, "from", where)


def _read_version(version: Plain, key: RateKey, where: str) -> list[Rate]:
    """Return the rates of one version, including its tiers; none if it is withdrawn or its price is unknown."""
    entry = _mapping(version, where, {"from", "source"}, {*_PRICE_KEYS, *_ABSENT_KEYS, "tiers"})
    source = read_name(entry["source"], "source", where, MAX_SOURCE_LENGTH)
    absent = _ABSENT_KEYS & entry.keys()
    for mark in sorted(absent):
        if entry[mark] != "true":
            raise InvalidPriceError(f"{where}: {mark} can only be true, got {excerpt(entry[mark])}; otherwise omit it")
    if absent and (len(absent) > 1 or not entry.keys().isdisjoint({*_PRICE_KEYS, "tiers"})):
        raise InvalidPriceError(f"{where}: a version must be one of priced, withdrawn or unknown")
    if absent:
        return []
    prices = _prices(entry, where)
    tiers = {0: prices}
    listed = _items(entry["tiers"], f"{where}: tiers") if "tiers" in entry else []
    for item in listed:
        tier = _mapping(item, f"{where}: a tier", {"context_from"}, _PRICE_KEYS)
        context_from = read_context_from(tier["context_from"], where)
        here = f"{where}, tier from {context_from}"
        if context_from <= max(tiers):
            raise InvalidPriceError(f"{here}: tiers must be ordered by context_from, each once", PriceFault.OUT_OF_ORDER)
        tiers[context_from] = _prices(tier, here)
        if missing := sorted(prices.keys() - tiers[context_from].keys()):
            raise InvalidPriceError(f"{here}: no price of {', '.join(missing)}; a tier prices the whole request")
    provider, model, operation = key
    return [
        Rate(provider=provider, model=model, operation=operation, prices=priced, context_from=size, source=source)
        for size, priced in tiers.items()
    ]


def _prices(entry: Mapping[str, Plain], where: str) -> dict[str, Price]:
    prices: dict[str, Price] = {}
    for key, unit in _KEYS.items():
        if key not in entry:
            continue
        listed = _mapping(entry[key], f"{where}: {key}", set(), None)
        for name, amount in listed.items():
            field = f"{where}: {key}.{name[:MAX_NAME_LENGTH]}"
            if name not in unit.names:
                known = ", ".join(unit.names)
                raise InvalidPriceError(f"{field} is not a quantity with this unit; {key} has {known}", PriceFault.UNIT)
            kind = unit.names[name]
            _add(prices, kind, _price(amount, kind, unit, field), field)
    covered = _items(entry["included"], f"{where}: included") if "included" in entry else []
    for label in covered:
        if label not in PRICED_KINDS and label != REQUESTS:
            known = ", ".join((*PRICED_KINDS, REQUESTS))
            raise InvalidPriceError(f"{where}: included {excerpt(label)} is not a quantity; the quantities are {known}")
        _add(prices, str(label), Price(0), f"{where}: included {label}")
    if not prices:
        raise InvalidPriceError(f"{where}: no price; add one, or withdrawn: true, or unknown: true")
    return prices


def _add(prices: dict[str, Price], kind: str, price: Price, field: str) -> None:
    if kind in prices:
        raise InvalidPriceError(f"{field}: {kind} is priced twice", PriceFault.DUPLICATE)
    prices[kind] = price


def _price(amount: Plain, kind: str, unit: Unit, field: str) -> Price:
    if not isinstance(amount, str):
        raise InvalidPriceError(f"{field} must be a decimal number of dollars, got {excerpt(amount)}")
    return price_from_text(amount, kind, per_usd=unit.per_usd, block=unit.block, where=field)


def _routes(value: Plain, where: str) -> set[str]:
    """Return one or several routes. As Hugging Face adds nothing, a partner's own price applies to routed requests, too."""
    names = value if isinstance(value, list) and value else [value]
    for label in names:
        if not isinstance(label, str) or label not in ROUTES:
            raise InvalidPriceError(f"{where}: route must be {', '.join(ROUTES)} or a list of them, got {excerpt(label)}")
    routes = {ROUTES[str(label)] for label in names}
    if len(routes) < len(names) or (ANY_ROUTE in routes and len(routes) > 1):
        raise InvalidPriceError(f"{where}: route has the same value twice, got {excerpt(value)}")
    return routes


def _mapping(value: Plain, where: str, required: set[str], optional: set[str] | frozenset[str] | None) -> dict[str, Plain]:
    """Return a mapping with all required keys and no unknown ones; with ``optional`` None, any key is allowed."""
    if not isinstance(value, dict) or not value:
        raise InvalidPriceError(f"{where} must be a mapping, got {excerpt(value)}")
    for key in sorted(required - value.keys()):
        raise InvalidPriceError(f"{where}: missing {key}; the keys {', '.join(sorted(required))} are required")
    for key in value if optional is not None else ():
        if key not in required and key not in (optional or ()):
            known = ", ".join(sorted({*required, *(optional or ())}))
            raise InvalidPriceError(f"{where}: unknown key {excerpt(key)}; the keys are {known}")
    return value


def _items(value: Plain, where: str) -> list[Plain]:
    if not isinstance(value, list) or not value:
        raise InvalidPriceError(f"{where} must be a non-empty list, got {excerpt(value)}")
    return value
