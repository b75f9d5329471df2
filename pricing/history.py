"""The price history of a model: what each list said of it, from when until when.

A list's word holds until its next one, a withdrawal among them. A later table that says the same again confirms a version and
is no new one; a table recorded later for the same instant corrects it, and the corrected one never held.
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
    """What a table says of one key, without tiers where it withdraws it; ``tiers`` smallest prompt first.

    ``until`` is exclusive, None while nothing else is said; equal to the table's instant where another table corrected this
    one. ``confirmed`` is how many later tables say the same.
    """

    key: RateKey
    table: PriceTable
    tiers: Tiers
    until: int | None
    confirmed: int = 0

    @property
    def corrected(self) -> bool:
        """Whether this version never held, because a table recorded later is about the same instant."""
        return self.until == self.table.effective_from

    @property
    def place(self) -> tuple[str, str, int, str, str, int, str, int, int]:
        """Where it stands among versions: by provider, model, list (layer, source, route, account), operation and time."""
        provider, model, operation = self.key
        table = self.table
        return (
            provider, model, int(table.layer), table.source, table.route, table.account_id or 0, operation,
            table.effective_from, table.id,
        )  # fmt: skip


def versions_of(streams: Iterable[ListVersions], model: str, *, provider: str | None, aliases: Aliases) -> list[PriceVersion]:
    """Return the versions of a model's prices, of one provider or of all, by provider, list, operation and time.

    Each list is read under the name by which it knows the model, the same one by which a request is priced: a name that fits
    several is not guessed.
    """
    found: list[PriceVersion] = []
    for same in _lists(streams):
        names = _names_of(same)
        for at in sorted(names.providers()) if provider is None else [provider]:
            name = names.resolve(at, model, aliases).model
            for stream in same:
                for key in sorted(key for key in stream.steps if key[:2] == (at, name)):
                    found.extend(_versions(key, stream.steps[key]))
    return sorted(found, key=lambda version: version.place)


class Ambiguity(NamedTuple):
    """A name that fits several of a list's models at a provider, which are the candidates."""

    source: str
    provider: str
    candidates: tuple[str, ...]


def ambiguities(streams: Iterable[ListVersions], model: str, *, provider: str | None, aliases: Aliases) -> list[Ambiguity]:
    """Return where a name fits several models, by list and provider."""
    found = []
    for same in _lists(streams):
        names = _names_of(same)
        for at in sorted(names.providers()) if provider is None else [provider]:
            name = names.resolve(at, model, aliases)
            if name.match is NameMatch.AMBIGUOUS:
                found.append(Ambiguity(same[0].source, at, name.candidates))
    return found


def _lists(streams: Iterable[ListVersions]) -> list[list[ListVersions]]:
    """Return the streams by list: those of all routes of a source in a layer share their names."""
    lists: dict[tuple[int, str, int | None], list[ListVersions]] = {}
    for stream in streams:
        lists.setdefault((int(stream.layer), stream.source, stream.account_id), []).append(stream)
    return list(lists.values())


def _names_of(streams: Iterable[ListVersions]) -> ListedNames:
    names = ListedNames()
    for stream in streams:
        for provider, model, _ in stream.steps:
            names.add(provider, model)
    return names


def same_prices(tiers: Tiers, others: Tiers) -> bool:
    """Whether two lists of tiers price everything alike, wherever it was read."""
    return _content(tiers) == _content(others)


def _versions(key: RateKey, steps: Sequence[TableEntry]) -> list[PriceVersion]:
    versions: list[PriceVersion] = []
    for position, step in enumerate(steps):
        until = steps[position + 1].effective_from if position + 1 < len(steps) else None
        last = versions[-1] if versions else None
        if last is not None and same_prices(last.tiers, tuple(reversed(step.tiers))):
            versions[-1] = replace(last, until=until, confirmed=last.confirmed + 1)
        else:
            versions.append(PriceVersion(key, step.table, tuple(reversed(step.tiers)), until))
    return versions


def _content(tiers: Tiers) -> list[tuple[int, dict[str, Price]]]:
    return [(rate.context_from, dict(rate.prices)) for rate in tiers]
