"""The prices, plans and aliases that come with the package, read from ``pricing/data``.

A price list may be spread over several files, one per provider. Its entries for the same route and instant are merged into one
table, so that one version of the list is recorded as one row.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pricing.names import Aliases
from pricing.plans import PlanCatalog
from pricing.sources.alias_sheet import parse_alias_list
from pricing.sources.plan_sheet import parse_plans
from pricing.sources.sheets import parse_sheet
from pricing.tables import Layer, PriceTable, TableKind

PLANS = "plans.yaml"
ALIASES = "model_aliases"


@cache
def bundled_tables() -> tuple[PriceTable, ...]:
    """Return the bundled price tables, one per (source, route, instant), in that order. Parsed once per process."""
    sheets = (
        parse_sheet(sheet.read_bytes(), name=name, layer=Layer.BUNDLED)
        for name, sheet in _yaml_files(files("pricing.data"), "")
        if name != PLANS and not name.startswith(f"{ALIASES}/")
    )
    return _merged(table for sheet in sheets for table in sheet)


@cache
def bundled_plans() -> PlanCatalog:
    """Return the bundled catalog of plans. Parsed once per process."""
    return PlanCatalog(parse_plans((files("pricing.data") / PLANS).read_bytes(), name=PLANS))


@cache
def bundled_aliases() -> Aliases:
    """Return the bundled aliases: providers' own names for models, one file per provider. Parsed once per process."""
    sheets = _yaml_files(files("pricing.data") / ALIASES, f"{ALIASES}/")
    return Aliases(alias for name, sheet in sheets for alias in parse_alias_list(sheet.read_bytes(), name=name))


def _yaml_files(folder: Traversable, path: str) -> Iterable[tuple[str, Traversable]]:
    """Yield the sheets below a folder, sorted by name, each with its path relative to the data folder."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _yaml_files(item, f"{path}{item.name}/")
        elif item.name.endswith(".yaml"):
            yield f"{path}{item.name}", item


def _merged(tables: Iterable[PriceTable]) -> tuple[PriceTable, ...]:
    """Merge tables of the same (source, route, instant). PriceTable raises an error if two of them price the same thing."""
    parts: dict[tuple[str, str, int], list[PriceTable]] = {}
    for table in tables:
        parts.setdefault((table.source, table.route, table.effective_from), []).append(table)
    return tuple(
        PriceTable(
            source=source,
            layer=Layer.BUNDLED,
            kind=TableKind.PATCH,
            effective_from=effective_from,
            rates=tuple(rate for table in same for rate in table.rates),
            withdrawn=frozenset().union(*(table.withdrawn for table in same)),
            route=route,
        )
        for (source, route, effective_from), same in sorted(parts.items())
    )
