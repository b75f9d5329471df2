"""The price history of a model: each list's prices for it, and when they were in force.

A price is in force until the list's next entry for the model, which may be a withdrawal. A later table with the same prices
confirms a version and adds none. A table recorded later for the same instant corrects a version, which then was never in force.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from pricing.names import Aliases, ListedNames, NameMatch
from pricing.precedence import ListVersions, TableEntry, Tiers
from pricing.rates import Price
from pricing.tables import PriceTable, RateKey


class PriceVersion(Struct, frozen=True):
    """A table's prices for one key, without tiers where it withdraws the key; ``tiers`` smallest prompt first.

    ``until`` is exclusive: None while the version is in force, equal to the table's instant where another table corrected it.
    ``confirmed`` is the number of later tables with the same prices.
    """

    key: RateKey
    table: PriceTable
    tiers: Tiers
    until: int | None
    confirmed: int = 0

    @property
    def corrected(self) -> bool:
        """Whether a table recorded later for the same instant replaced this version, so that it was never in force."""
        return self.until == self.table.effective_from

    @property
    def sort_key(self) -> tuple[str, str, int, str, str, int, str, int, int]:
        """Order of versions: by provider, model, price list (layer, source, route, account), operation and time."""
        provider, model, operation = self.key
        table = self.table
        return (
            provider, model, int(table.layer), table.source, table.route, table.account_id or 0, operation,
            table.effective_from, table.id,
        )  # fmt: skip


def price_versions(lists: Iterable[ListVersions], model: str, *, provider: str | None, aliases: Aliases) -> list[PriceVersion]:
    """Return the versions of a model's prices at one provider or all, by provider, price list, operation and time.

    Each list is searched under its own name for the model, as for a request: an ambiguous name finds nothing.
    """
    found: list[PriceVersion] = []
    for same in _by_price_list(lists):
        names = _names_of(same)
        for at in sorted(names.providers()) if provider is None else [provider]:
            name = names.resolve(at, model, aliases).model
            for versions in same:
                for key in sorted(key for key in versions.entries if key[:2] == (at, name)):
                    found.extend(_versions(key, versions.entries[key]))
    return sorted(found, key=lambda version: version.sort_key)


class Ambiguity(NamedTuple):
    """A name that matches several of a list's models at a provider, which are the candidates."""

    source: str
    provider: str
    candidates: tuple[str, ...]


def ambiguities(lists: Iterable[ListVersions], model: str, *, provider: str | None, aliases: Aliases) -> list[Ambiguity]:
    """Return where a name matches several models, by list and provider."""
    found = []
    for same in _by_price_list(lists):
        names = _names_of(same)
        for at in sorted(names.providers()) if provider is None else [provider]:
            name = names.resolve(at, model, aliases)
            if name.match is NameMatch.AMBIGUOUS:
                found.append(Ambiguity(same[0].source, at, name.candidates))
    return found


def same_prices(tiers: Tiers, others: Tiers) -> bool:
    """Whether two lists of tiers have the same prices, whatever their provenance."""
    return _content(tiers) == _content(others)


def _by_price_list(lists: Iterable[ListVersions]) -> list[list[ListVersions]]:
    """Group versions by price list. All routes of a source in a layer share their names."""
    grouped: dict[tuple[int, str, int | None], list[ListVersions]] = {}
    for versions in lists:
        grouped.setdefault((int(versions.layer), versions.source, versions.account_id), []).append(versions)
    return list(grouped.values())


def _names_of(same: Iterable[ListVersions]) -> ListedNames:
    names = ListedNames()
    for versions in same:
        for provider, model, _ in versions.entries:
            names.add(provider, model)
    return names


def _versions(key: RateKey, entries: Sequence[TableEntry]) -> list[PriceVersion]:
    versions: list[PriceVersion] = []
    for position, entry in enumerate(entries):
        until = entries[position + 1].effective_from if position + 1 < len(entries) else None
        last = versions[-1] if versions else None
        if last is not None and same_prices(last.tiers, tuple(reversed(entry.tiers))):
            versions[-1] = replace(last, until=until, confirmed=last.confirmed + 1)
        else:
            versions.append(PriceVersion(key, entry.table, tuple(reversed(entry.tiers)), until))
    return versions


def _content(tiers: Tiers) -> list[tuple[int, dict[str, Price]]]:
    return [(rate.context_from, dict(rate.prices)) for rate in tiers]
