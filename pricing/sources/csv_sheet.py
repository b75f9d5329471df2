"""The price sheet as CSV: one price a row, for those who keep their prices in a spreadsheet.

All of it or nothing: the first row that can not be read exactly refuses the sheet, with its line and column. The first row
names the columns, in any order:

- ``provider``, ``model``: in Hugging Face's spelling;
- ``quantity``, ``per``, ``usd``: a decimal number of dollars for a ``million`` (tokens such as input_tokens, characters), a
  ``unit`` (images, megapixels, requests), a ``second`` or an ``hour`` (compute, video, audio). ``usd`` can also be
  ``withdrawn`` or ``unknown``, with ``quantity`` and ``per`` empty;
- ``effective_from``: the instant the price holds from, with a time zone, or a date (midnight UTC). Rows of one model stand in
  the order of their instants, oldest first; all rows of one instant are one version;
- ``operation`` (optional): such as chat; empty for any;
- ``context_from`` (optional): the number of prompt tokens from which the price holds for the whole request; a tier prices
  everything that the version prices without one;
- ``route`` (optional): routed, provider_key, serverless or any, which is what empty means;
- ``currency`` (optional): USD;
- ``source`` (optional): where the price was read; empty for the line of the sheet.
"""

import csv
from collections.abc import Iterator
from io import StringIO

from msgspec import Struct, field

from pricing.errors import InvalidPriceError, PriceFault
from pricing.excerpt import excerpt
from pricing.rates import ANY_OPERATION, Price, Rate
from pricing.sources.amounts import written_price
from pricing.sources.fields import MAX_SOURCE_LENGTH, ROUTES, read_context_from, read_instant, read_name, read_provider
from pricing.sources.units import UNITS
from pricing.sources.versions import PriceVersions
from pricing.tables import ANY_ROUTE, Layer, PriceTable, RateKey

REQUIRED = ("provider", "model", "quantity", "usd", "per", "effective_from")
OPTIONAL = ("operation", "context_from", "route", "currency", "source")
MAX_BYTES = 64 * 1024 * 1024

_ABSENT = frozenset({"withdrawn", "unknown"})


class _Row(Struct, frozen=True):
    """One line of the sheet; ``at`` says where a column of it stands."""

    sheet: str
    line: int
    cells: dict[str, str]

    def at(self, column: str) -> str:
        return f"{self.sheet}: line {self.line}, column {column}"

    def cell(self, column: str) -> str:
        return self.cells.get(column, "")


class _SheetVersion(Struct):
    """What the rows of one model and instant say: prices by tier, or that there is none."""

    row: _Row
    absent: bool
    tiers: dict[int, dict[str, Price]] = field(default_factory=dict)
    sources: dict[int, str] = field(default_factory=dict)
    lines: dict[tuple[int, str], int] = field(default_factory=dict)


_VersionKey = tuple[str, RateKey, int]
"""(route, what is priced, the instant)."""


def parse_csv_sheet(
    text: str | bytes,
    *,
    name: str,
    source: str,
    layer: Layer,
    account_id: int | None = None,
    recorded_at: int = 0,
) -> tuple[PriceTable, ...]:
    """Read a CSV price sheet as one table (a patch) for each route and instant in it, in that order.

    ``name`` is the sheet's in messages (its file name), ``source`` the name of the price list. ``recorded_at`` is in
    microseconds since 1970, UTC. Raises InvalidPriceError naming the line, the column and what is wrong there.
    """
    versions: dict[_VersionKey, _SheetVersion] = {}
    latest: dict[tuple[str, RateKey], int] = {}
    for row in _rows(_text(text, name), name):
        route, key, effective_from = _what(row)
        if effective_from < latest.get((route, key), effective_from):
            raise InvalidPriceError(
                f"{row.at('effective_from')}: {key[0]} {key[1]}: rows must be in the order of their instants, oldest first",
                PriceFault.OUT_OF_ORDER,
            )
        latest[route, key] = effective_from
        _read_price(row, key, versions.setdefault((route, key, effective_from), _SheetVersion(row, _is_absent(row))))
    if not versions:
        raise InvalidPriceError(f"{name}: no prices below the first row")
    listed = PriceVersions()
    for (route, key, effective_from), version in versions.items():
        _check_version(route, key, version, versions.get((ANY_ROUTE, key, effective_from)))
        listed.add(route, key, effective_from, _rates(key, version), version.row.at("effective_from"))
    return listed.tables(read_name(source, "source", name), layer, account_id, recorded_at)


def _text(content: str | bytes, name: str) -> str:
    try:
        encoded = content if isinstance(content, bytes) else content.encode()
        if len(encoded) > MAX_BYTES:
            raise _unreadable(name, f"{len(encoded)} bytes are more than the {MAX_BYTES} that are read")
        text = encoded.decode("utf-8-sig")
    except UnicodeError:
        raise _unreadable(name, "not UTF-8 text") from None
    if text.lstrip()[:1] == "<":
        raise _unreadable(name, "looks like HTML, not CSV; was a web page saved instead of the file?")
    return text


def _rows(text: str, name: str) -> Iterator[_Row]:
    """Yield the rows below the names of the columns; rows with nothing in them are passed over."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        columns = _columns([column.strip() for column in next(reader, [])], name)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise _unreadable(
                    f"{name}: line {reader.line_num}", f"{len(cells)} cells where there are {len(columns)} columns"
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
            raise _unreadable(f"{name}: line 1", f"unknown column {excerpt(column)}; there are {known}, divided by commas")
        if columns.count(column) > 1:
            raise _unreadable(f"{name}: line 1", f"the column {column} is there twice")
    if missing := [column for column in REQUIRED if column not in columns]:
        raise _unreadable(f"{name}: line 1", f"no column {', '.join(missing)}")
    return columns


def _what(row: _Row) -> _VersionKey:
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
    began = row.cell("effective_from")
    return ROUTES[route], (provider, model, operation), read_instant(began, "effective_from", row.at("effective_from"))


def _is_absent(row: _Row) -> bool:
    return row.cell("usd") in _ABSENT


def _read_price(row: _Row, key: RateKey, version: _SheetVersion) -> None:
    """Add the price of one row to the version it belongs to."""
    what = f"{key[0]} {key[1]}"
    absent = _is_absent(row)
    if absent != version.absent or (absent and version.row is not row):
        raise InvalidPriceError(
            f"{row.at('usd')}: {what}: either priced, or withdrawn or unknown in one row; see line {version.row.line}",
            PriceFault.DUPLICATE,
        )
    if absent:
        if filled := [column for column in ("quantity", "per", "context_from") if row.cell(column)]:
            raise InvalidPriceError(f"{row.at(filled[0])}: {what}: must be empty where usd is {row.cell('usd')}")
        return
    size = read_context_from(row.cell("context_from"), row.at("context_from")) if row.cell("context_from") else 0
    kind, price = _price(row, what)
    tier = version.tiers.setdefault(size, {})
    if kind in tier:
        raise InvalidPriceError(
            f"{row.at('quantity')}: {what}: {row.cell('quantity')} is priced twice, see line {version.lines[size, kind]}",
            PriceFault.DUPLICATE,
        )
    tier[kind] = price
    version.lines[size, kind] = row.line
    noted = row.cell("source") and read_name(row.cell("source"), "source", row.at("source"), MAX_SOURCE_LENGTH)
    version.sources.setdefault(size, noted or f"{row.sheet}, line {row.line}")


def _price(row: _Row, what: str) -> tuple[str, Price]:
    per, quantity = row.cell("per"), row.cell("quantity")
    if per not in UNITS:
        problem = f"{excerpt(per)} is not a unit" if per else "no unit"
        known = ", ".join(UNITS)
        raise InvalidPriceError(f"{row.at('per')}: {what}: {problem}; a price is per {known}", PriceFault.UNIT)
    unit = UNITS[per]
    if quantity not in unit.names:
        known = ", ".join(unit.names)
        raise InvalidPriceError(
            f"{row.at('quantity')}: {what}: {excerpt(quantity)} is not a quantity with this unit; per {per} there are {known}",
            PriceFault.UNIT,
        )
    kind = unit.names[quantity]
    where = f"{row.at('usd')}: {what}"
    return kind, written_price(row.cell("usd"), kind, per_usd=unit.per_usd, block=unit.block, where=where)


def _check_version(route: str, key: RateKey, version: _SheetVersion, of_any_route: _SheetVersion | None) -> None:
    """Refuse a version that contradicts another of any route, and tiers that leave something unpriced."""
    what = f"{key[0]} {key[1]}"
    if route != ANY_ROUTE and of_any_route is not None:
        line = of_any_route.row.line
        raise InvalidPriceError(
            f"{version.row.at('route')}: {what}: priced for any route from the same instant, see line {line}",
            PriceFault.DUPLICATE,
        )
    prices = version.tiers.get(0)
    if version.tiers and prices is None:
        raise InvalidPriceError(
            f"{version.row.at('context_from')}: {what}: no price below the first tier; write one without it"
        )
    for size, tier in version.tiers.items():
        if missing := sorted((prices or {}).keys() - tier.keys()):
            line = next(line for (of, _), line in version.lines.items() if of == size)
            raise InvalidPriceError(
                f"{version.row.sheet}: line {line}, column context_from: {what}, tier from {size}: no price of"
                f" {', '.join(missing)}; the whole request is priced at its tier"
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
