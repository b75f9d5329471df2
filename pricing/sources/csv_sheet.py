"""The price sheet as CSV: one price per row, for prices kept in a spreadsheet.

All or nothing: the first row that cannot be read exactly raises an error with its line and column. The first row names the
columns, in any order:

- ``provider``, ``model``: in Hugging Face's spelling.
- ``quantity``, ``per``, ``usd``: a decimal number of dollars per ``million`` (tokens such as input_tokens, characters), per
  ``unit`` (images, megapixels, requests), per ``second`` or per ``hour`` (compute, video, audio). ``usd`` can also be
  ``withdrawn`` or ``unknown``, with ``quantity`` and ``per`` empty.
- ``effective_from``: the instant at which the price takes effect, with a time zone, or a date (midnight UTC). The rows of one
  model are ordered by instant, oldest first. All rows of one instant are one version.
- ``operation`` (optional): such as chat; empty: any.
- ``context_from`` (optional): the number of prompt tokens from which the price applies to the whole request. A tier must price
  everything that the version prices without a tier.
- ``route`` (optional): routed, provider_key, serverless or any; empty: any.
- ``currency`` (optional): USD.
- ``source`` (optional): where the price was read; empty: the line of the sheet.
"""

import csv
from collections.abc import Iterator
from io import StringIO

from msgspec import Struct, field

from pricing.errors import InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.sources.amounts import price_from_text
from pricing.sources.fields import MAX_SOURCE_LENGTH, ROUTES, read_context_from, read_instant, read_name, read_provider
from pricing.sources.units import UNITS
from pricing.sources.versions import PriceVersions
from pricing.tables import ANY_ROUTE, Layer, PriceTable, RateKey

REQUIRED = ("provider", "model", "quantity", "usd", "per", "effective_from")
OPTIONAL = ("operation", "context_from", "route", "currency", "source")
MAX_BYTES = 64 * 1024 * 1024

_ABSENT = frozenset({"withdrawn", "unknown"})


class _Row(Struct, frozen=True):
    """One line of the sheet; ``at`` returns the place of one of its columns."""

    sheet: str
    line: int
    cells: dict[str, str]

    def at(self, column: str) -> str:
        return f"{self.sheet}: line {self.line}, column {column}"

    def cell(self, column: str) -> str:
        return self.cells.get(column, "")


class _SheetVersion(Struct):
    """The rows of one model and instant: prices by tier, or ``absent`` for withdrawn or unknown."""

    row: _Row
    absent: bool
    tiers: dict[int, dict[str, Price]] = field(default_factory=dict)
    sources: dict[int, str] = field(default_factory=dict)
    lines: dict[tuple[int, str], int] = field(default_factory=dict)


_VersionKey = tuple[str, RateKey, int]
"""(route, rate key, instant)."""


def parse_csv_sheet(
    text: str | bytes,
    *,
    name: str,
    source: str,
    layer: Layer,
    account_id: int | None = None,
    recorded_at: int = 0,
) -> tuple[PriceTable, ...]:
    """Read a CSV price sheet as one table (a patch) per route and instant, in that order.

    ``name`` identifies the sheet in messages (its file name), ``source`` is the name of the price list. ``recorded_at`` is in
    microseconds since 1970, UTC. Raises InvalidPriceError with the line, the column and the error.
    """
    versions: dict[_VersionKey, _SheetVersion] = {}
    latest: dict[tuple[str, RateKey], int] = {}
    for row in _rows(_text(text, name), name):
        route, key, effective_from = _version_key(row)
        if effective_from < latest.get((route, key), effective_from):
            raise InvalidPriceError(
                f"{row.at('effective_from')}: {key[0]} {key[1]}: rows must be ordered by instant, oldest first",
                PriceFault.OUT_OF_ORDER,
            )
        latest[route, key] = effective_from
        _read_price(row, key, versions.setdefault((route, key, effective_from), _SheetVersion(row, _is_absent(row))))
    if not versions:
        raise InvalidPriceError(f"{name}: there are no prices below the first row")
    listed = PriceVersions()
    for (route, key, effective_from), version in versions.items():
        _check_version(route, key, version, versions.get((ANY_ROUTE, key, effective_from)))
        listed.add(route, key, effective_from, _rates(key, version), version.row.at("effective_from"))
    return listed.tables(read_name(source, "source", name), layer, account_id, recorded_at)


def _text(content: str | bytes, name: str) -> str:
    try:
        encoded = content if isinstance(content, bytes) else content.encode()
        if len(encoded) > MAX_BYTES:
            raise _unreadable(name, f"{len(encoded)} bytes exceed the limit of {MAX_BYTES}")
        text = encoded.decode("utf-8-sig")
    except UnicodeError:
        raise _unreadable(name, "not UTF-8 text") from None
    if text.lstrip()[:1] == "<":
        raise _unreadable(name, "looks like HTML, not CSV; was a web page saved instead of the file?")
    return text


def _rows(text: str, name: str) -> Iterator[_Row]:
    """Yield the rows below the column names, without empty rows."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        columns = _columns([column.strip() for column in next(reader, [])], name)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise _unreadable(
                    f"{name}: line {reader.line_num}", f"{len(cells)} cells, but there are {len(columns)} columns"
                )
            yield _Row(name, reader.line_num, dict(zip(columns, map(str.strip, cells), strict=True)))
    except csv.Error as error:
        raise _unreadable(f"{name}: line {reader.line_num}", f"not CSV: {error}") from None


def _columns(columns: list[str], name: str) -> list[str]:
    known = ", ".join((*REQUIRED, *OPTIONAL))
    if not any(columns):
        raise _unreadable(name, "the first row must name the columns")
    for column in columns:
        if column not in REQUIRED and column not in OPTIONAL:
            raise _unreadable(f"{name}: line 1", f"unknown column {excerpt(column)}; the columns are {known}")
        if columns.count(column) > 1:
            raise _unreadable(f"{name}: line 1", f"the column {column} occurs twice")
    if missing := [column for column in REQUIRED if column not in columns]:
        raise _unreadable(f"{name}: line 1", f"missing column {', '.join(missing)}")
    return columns


def _version_key(row: _Row) -> _VersionKey:
    provider = read_provider(row.cell("provider"), row.at("provider"))
    model = read_name(row.cell("model"), "model", row.at("model"))
    operation = row.cell("operation") or "any"
    operation = ANY_OPERATION if operation == "any" else read_name(operation, "operation", row.at("operation"))
    route = row.cell("route") or "any"
    if route not in ROUTES:
        raise InvalidPriceError(f"{row.at('route')}: route must be {', '.join(ROUTES)}, got {excerpt(route)}")
    if (currency := row.cell("currency") or "USD") != "USD":
        raise InvalidPriceError(
            f"{row.at('currency')}: currency must be USD, got {excerpt(currency)}; prices are not converted",
            PriceFault.CURRENCY,
        )
    instant = read_instant(row.cell("effective_from"), "effective_from", row.at("effective_from"))
    return ROUTES[route], (provider, model, operation), instant


def _is_absent(row: _Row) -> bool:
    return row.cell("usd") in _ABSENT


def _read_price(row: _Row, key: RateKey, version: _SheetVersion) -> None:
    """Add the price of one row to its version."""
    label = f"{key[0]} {key[1]}"
    absent = _is_absent(row)
    if absent != version.absent or (absent and version.row is not row):
        raise InvalidPriceError(
            f"{row.at('usd')}: {label}: a version has either prices, or one row with withdrawn or unknown; see line"
            f" {version.row.line}",
            PriceFault.DUPLICATE,
        )
    if absent:
        if filled := [column for column in ("quantity", "per", "context_from") if row.cell(column)]:
            raise InvalidPriceError(f"{row.at(filled[0])}: {label}: must be empty if usd is {row.cell('usd')}")
        return
    size = read_context_from(row.cell("context_from"), row.at("context_from")) if row.cell("context_from") else 0
    kind, price = _price(row, label)
    tier = version.tiers.setdefault(size, {})
    if kind in tier:
        raise InvalidPriceError(
            f"{row.at('quantity')}: {label}: {row.cell('quantity')} is priced twice, see line {version.lines[size, kind]}",
            PriceFault.DUPLICATE,
        )
    tier[kind] = price
    version.lines[size, kind] = row.line
    source = row.cell("source") and read_name(row.cell("source"), "source", row.at("source"), MAX_SOURCE_LENGTH)
    version.sources.setdefault(size, source or f"{row.sheet}, line {row.line}")


def _price(row: _Row, label: str) -> tuple[str, Price]:
    per, quantity = row.cell("per"), row.cell("quantity")
    if per not in UNITS:
        problem = f"{excerpt(per)} is not a unit" if per else "the unit is missing"
        known = ", ".join(UNITS)
        raise InvalidPriceError(f"{row.at('per')}: {label}: {problem}; a price is per {known}", PriceFault.UNIT)
    unit = UNITS[per]
    if quantity not in unit.names:
        known = ", ".join(unit.names)
        raise InvalidPriceError(
            f"{row.at('quantity')}: {label}: {excerpt(quantity)} is not priced per {per}; these are: {known}",
            PriceFault.UNIT,
        )
    kind = unit.names[quantity]
    where = f"{row.at('usd')}: {label}"
    return kind, price_from_text(row.cell("usd"), kind, per_usd=unit.per_usd, block=unit.block, where=where)


def _check_version(route: str, key: RateKey, version: _SheetVersion, of_any_route: _SheetVersion | None) -> None:
    """Check that a version does not conflict with one for any route, and that its tiers leave nothing unpriced."""
    label = f"{key[0]} {key[1]}"
    if route != ANY_ROUTE and of_any_route is not None:
        line = of_any_route.row.line
        raise InvalidPriceError(
            f"{version.row.at('route')}: {label}: priced for any route at the same instant, see line {line}",
            PriceFault.DUPLICATE,
        )
    prices = version.tiers.get(0)
    if version.tiers and prices is None:
        raise InvalidPriceError(
            f"{version.row.at('context_from')}: {label}: no price below the first tier; add one without context_from"
        )
    for size, tier in version.tiers.items():
        if missing := sorted((prices or {}).keys() - tier.keys()):
            line = next(line for (of, _), line in version.lines.items() if of == size)
            raise InvalidPriceError(
                f"{version.row.sheet}: line {line}, column context_from: {label}, tier from {size}: no price of"
                f" {', '.join(missing)}; a tier prices the whole request"
            )


def _rates(key: RateKey, version: _SheetVersion) -> list[Rate]:
    provider, model, operation = key
    return [
        Rate(
            provider=provider,
            model=model,
            operation=operation,
            prices=prices,
            context_from=size,
            source=version.sources[size],
        )
        for size, prices in sorted(version.tiers.items())
    ]


def _unreadable(where: str, problem: str) -> InvalidPriceError:
    return InvalidPriceError(f"{where}: {problem}", PriceFault.UNREADABLE)
