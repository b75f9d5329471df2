"""The price sheet: dated prices in YAML, as they are bundled and as a user writes them.

A sheet is one price list (``source``). Each model has versions, each valid from its instant until the next; a new price is
a new version, never an edit. Every price says its unit in its key (``usd_per_million``), and every version where it was
read. What can not be read exactly is refused with the name of the entry; nothing is guessed, rounded or left out.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from pricing.errors import InvalidAmountError, InvalidPriceError
from pricing.money import PICO_PER_USD, parse_usd
from pricing.quantities import PRICED_KINDS, REQUESTS
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.sources.plain_yaml import Plain, PlainYamlError, read_plain_yaml
from pricing.tables import ANY_ROUTE, Layer, PriceTable, RateKey, TableKind

ROUTES = {"routed": "routed", "provider_key": "provider_key", "serverless": "serverless", "any": ANY_ROUTE}
MAX_NAME_LENGTH = 255
MAX_SOURCE_LENGTH = 1000

_PER_MILLION = {kind: kind for kind in PRICED_KINDS if kind.endswith("_tokens") or kind == "characters"}
_PER_UNIT = {kind: kind for kind in ("images", "megapixels", REQUESTS)}
_TIMED = {kind.removesuffix("_ms"): kind for kind in PRICED_KINDS if kind.endswith("_ms")}

# Key of the sheet: the names it takes, the smallest amount one unit's price is counted in (a dollar's share), the block.
# A price per million tokens with six decimals is a whole number of pico-USD per token.
_UNITS: dict[str, tuple[dict[str, str], int, int]] = {
    "usd_per_million": (_PER_MILLION, PICO_PER_USD // 1_000_000, 1),
    "usd_per_unit": (_PER_UNIT, PICO_PER_USD, 1),
    "usd_per_second": (_TIMED, PICO_PER_USD, 1_000),
    "usd_per_hour": (_TIMED, PICO_PER_USD, 3_600_000),
}
_PRICE_KEYS = frozenset({*_UNITS, "included"})
_ABSENT_KEYS = frozenset({"withdrawn", "unknown"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_ALONE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

_Versions = dict[int, tuple[list[Rate], set[RateKey]]]
"""By instant, what is priced and what is withdrawn from then on."""


def parse_sheet(
    text: str | bytes,
    *,
    name: str,
    layer: Layer,
    account_id: int | None = None,
    recorded_at: int = 0,
) -> tuple[PriceTable, ...]:
    """Read a price sheet as one table (a patch) for each route and instant in it, in that order.

    ``name`` is the sheet's in messages (its file name). ``recorded_at`` is in microseconds since 1970, UTC. Raises
    InvalidPriceError naming the entry and what is wrong with it.
    """
    try:
        document = read_plain_yaml(text)
    except PlainYamlError as error:
        raise InvalidPriceError(f"{name}: {error}") from None
    sheet = _mapping(document, name, {"source", "route", "currency", "models"}, {"provider"})
    source = _name(sheet, "source", name)
    routes = _routes(sheet["route"], name)
    if sheet["currency"] != "USD":
        raise InvalidPriceError(f"{name}: currency must be USD, got {_shown(sheet['currency'])}; prices are not converted")
    versions: _Versions = {}
    seen: set[tuple[RateKey, int]] = set()
    for position, entry in enumerate(_items(sheet["models"], f"{name}: models"), start=1):
        key, listed, where = _model(entry, sheet, name, position)
        _read_versions(listed, key, where, versions, seen)
    return tuple(
        PriceTable(
            source=source,
            layer=layer,
            kind=TableKind.PATCH,
            effective_from=effective_from,
            rates=tuple(rates),
            withdrawn=frozenset(withdrawn),
            route=route,
            account_id=account_id,
            recorded_at=recorded_at,
        )
        for route in sorted(routes)
        for effective_from, (rates, withdrawn) in sorted(versions.items())
    )


def _model(entry: Plain, sheet: dict[str, Plain], name: str, position: int) -> tuple[RateKey, list[Plain], str]:
    """Return what one entry prices, its versions, and what messages call it."""
    where = f"{name}: model {position}"
    model = _mapping(entry, where, {"model", "versions"}, {"operation", "provider"})
    if "provider" not in model and "provider" not in sheet:
        raise InvalidPriceError(f"{where}: no provider, neither here nor for the whole sheet")
    provider = _name(model if "provider" in model else sheet, "provider", where)
    if provider != provider.lower():
        raise InvalidPriceError(f"{where}: provider must be in lower case, as Hugging Face spells it, got {provider!r}")
    operation = _name(model, "operation", where) if "operation" in model else "any"
    key = (provider, _name(model, "model", where), ANY_OPERATION if operation == "any" else operation)
    where = f"{name}: {provider} {key[1]}" + (f" ({operation})" if operation != "any" else "")
    return key, _items(model["versions"], f"{where}: versions"), where


def _read_versions(listed: list[Plain], key: RateKey, where: str, versions: _Versions, seen: set[tuple[RateKey, int]]) -> None:
    previous: int | None = None
    for version in listed:
        began, effective_from = _began(version, where)
        here = f"{where} from {began}"
        if (key, effective_from) in seen:
            raise InvalidPriceError(f"{here}: listed twice from the same instant")
        if previous is not None and effective_from < previous:
            raise InvalidPriceError(f"{here}: versions must be in the order of their instants, oldest first")
        previous = effective_from
        seen.add((key, effective_from))
        rates, withdrawn = versions.setdefault(effective_from, ([], set()))
        priced = _read_version(version, key, here)
        rates.extend(priced)
        if not priced:
            withdrawn.add(key)


def _began(version: Plain, where: str) -> tuple[str, int]:
    """Return a version's ``from`` as written and as an instant; read first, because it names the version in messages."""
    if not isinstance(version, dict):
        raise InvalidPriceError(f"{where}: a version must be a mapping, got {_shown(version)}")
    began = version.get("from")
    if not isinstance(began, str) or not began:
        raise InvalidPriceError(f"{where}: a version has no from; write the instant its price is valid from")
    return began[:40], _instant(began, where)


def _instant(text: str, where: str) -> int:
    """Read an instant as microseconds since 1970 UTC; a date alone is its midnight UTC."""
    try:
        moment = datetime.fromisoformat(f"{text}T00:00:00Z" if _DATE_ALONE.fullmatch(text) else text)
    except ValueError:
        raise InvalidPriceError(f"{where}: from {_shown(text)} is not a time such as 2026-10-19T00:00:00Z") from None
    if moment.tzinfo is None:
        raise InvalidPriceError(f"{where}: from {_shown(text)} has no time zone; write one, as in 2026-10-19T00:00:00Z")
    try:
        elapsed = moment - _EPOCH
    except OverflowError:
        raise InvalidPriceError(f"{where}: from {_shown(text)} is out of range") from None
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def _read_version(version: Plain, key: RateKey, where: str) -> list[Rate]:
    """Return the rates of one version, its tiers among them; none where it is withdrawn or its price unknown."""
    entry = _mapping(version, where, {"from", "source"}, {*_PRICE_KEYS, *_ABSENT_KEYS, "tiers"})
    source = _name(entry, "source", where, MAX_SOURCE_LENGTH)
    absent = _ABSENT_KEYS & entry.keys()
    for mark in sorted(absent):
        if entry[mark] != "true":
            raise InvalidPriceError(f"{where}: {mark} can only be true, got {_shown(entry[mark])}; leave it out otherwise")
    if absent and (len(absent) > 1 or not entry.keys().isdisjoint({*_PRICE_KEYS, "tiers"})):
        raise InvalidPriceError(f"{where}: either priced, or withdrawn, or unknown, not several of them")
    if absent:
        return []
    prices = _prices(entry, where)
    tiers = {0: prices}
    listed = _items(entry["tiers"], f"{where}: tiers") if "tiers" in entry else []
    for item in listed:
        tier = _mapping(item, f"{where}: a tier", {"context_from"}, _PRICE_KEYS)
        context_from = _context_from(tier["context_from"], where)
        here = f"{where}, tier from {context_from}"
        if context_from <= max(tiers):
            raise InvalidPriceError(f"{here}: tiers must be in the order of their context_from, each once")
        tiers[context_from] = _prices(tier, here)
        if missing := sorted(prices.keys() - tiers[context_from].keys()):
            raise InvalidPriceError(f"{here}: no price of {', '.join(missing)}; the whole request is priced at its tier")
    provider, model, operation = key
    return [
        Rate(provider=provider, model=model, operation=operation, prices=priced, context_from=size, source=source)
        for size, priced in tiers.items()
    ]


def _prices(entry: Mapping[str, Plain], where: str) -> dict[str, Price]:
    prices: dict[str, Price] = {}
    for unit, (names, per_usd, block) in _UNITS.items():
        if unit not in entry:
            continue
        listed = _mapping(entry[unit], f"{where}: {unit}", set(), None)
        for label, amount in listed.items():
            field = f"{where}: {unit}.{label[:MAX_NAME_LENGTH]}"
            if label not in names:
                raise InvalidPriceError(f"{field} is not a quantity with this unit; {unit} takes {', '.join(names)}")
            _add(prices, names[label], _price(amount, per_usd, block, field), field)
    covered = _items(entry["included"], f"{where}: included") if "included" in entry else []
    for kind in covered:
        if kind not in PRICED_KINDS and kind != REQUESTS:
            known = ", ".join((*PRICED_KINDS, REQUESTS))
            raise InvalidPriceError(f"{where}: included {_shown(kind)} is not a quantity; there are {known}")
        _add(prices, str(kind), Price(0), f"{where}: included {kind}")
    if not prices:
        raise InvalidPriceError(f"{where}: no price; write one, or withdrawn: true, or unknown: true")
    return prices


def _add(prices: dict[str, Price], kind: str, price: Price, field: str) -> None:
    if kind in prices:
        raise InvalidPriceError(f"{field}: {kind} is priced twice")
    prices[kind] = price


def _price(amount: Plain, per_usd: int, block: int, field: str) -> Price:
    if not isinstance(amount, str):
        raise InvalidPriceError(f"{field} must be a decimal number of dollars, got {_shown(amount)}")
    try:
        return Price(parse_usd(amount, unit_per_usd=per_usd), block)
    except (InvalidAmountError, InvalidPriceError) as error:
        raise InvalidPriceError(f"{field}: {error}") from None


def _context_from(text: Plain, where: str) -> int:
    if not (isinstance(text, str) and text.isascii() and text.isdecimal() and 1 <= len(text) <= 10 and int(text)):
        raise InvalidPriceError(f"{where}: context_from must be a whole number of tokens above zero, got {_shown(text)}")
    return int(text)


def _routes(value: Plain, where: str) -> set[str]:
    """Read one route or several: a partner's own price holds on its key and, as HF adds nothing, when it is routed."""
    names = value if isinstance(value, list) and value else [value]
    for label in names:
        if not isinstance(label, str) or label not in ROUTES:
            raise InvalidPriceError(f"{where}: route must be {', '.join(ROUTES)} or a list of them, got {_shown(label)}")
    routes = {ROUTES[str(label)] for label in names}
    if len(routes) < len(names) or (ANY_ROUTE in routes and len(routes) > 1):
        raise InvalidPriceError(f"{where}: route names the same twice, got {_shown(value)}")
    return routes


def _mapping(value: Plain, where: str, required: set[str], optional: set[str] | frozenset[str] | None) -> dict[str, Plain]:
    """Return a mapping with all required keys and no unknown ones; ``optional`` None lets any key stand."""
    if not isinstance(value, dict) or not value:
        raise InvalidPriceError(f"{where} must be a mapping, got {_shown(value)}")
    for key in sorted(required - value.keys()):
        raise InvalidPriceError(f"{where}: no {key}")
    for key in value if optional is not None else ():
        if key not in required and key not in (optional or ()):
            known = ", ".join(sorted({*required, *(optional or ())}))
            raise InvalidPriceError(f"{where}: unknown key {_shown(key)}; it takes {known}")
    return value


def _items(value: Plain, where: str) -> list[Plain]:
    if not isinstance(value, list) or not value:
        raise InvalidPriceError(f"{where} must be a list with something in it, got {_shown(value)}")
    return value


def _name(mapping: Mapping[str, Plain], key: str, where: str, longest: int = MAX_NAME_LENGTH) -> str:
    """Return a text on one line; control characters would not survive a database or a terminal."""
    value = mapping[key]
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text or len(text) > longest or not text.isprintable():
        raise InvalidPriceError(f"{where}: {key} must be a text of at most {longest} characters, got {_shown(value)}")
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
