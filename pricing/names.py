"""Model names: under which name a price list knows the model that a record states.

As it is stated; else under an alias, which is a recorded fact about one provider's spelling; else the same but for letter
case, if that fits exactly one name. A name that fits several is ambiguous and never guessed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct, field

from pricing.errors import InvalidAliasError

NamePair = tuple[str, str]
"""(provider, model)."""


class NameMatch(StrEnum):
    """How a price list knows a model."""

    EXACT = "exact"
    ALIAS = "alias"
    CASE = "case"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


class Alias(Struct, frozen=True):
    """One fact: what a provider calls a model, and where that was read."""

    provider: str
    native_id: str
    model: str
    source: str


class ResolvedName(Struct, frozen=True):
    """The name under which a list is read, None where there is none; ``candidates`` are what an ambiguous name fits.

    ``alias`` is the fact that led there.
    """

    match: NameMatch
    model: str | None = None
    candidates: tuple[str, ...] = ()
    alias: Alias | None = None


NOT_LISTED = ResolvedName(NameMatch.NONE)


class Aliases:
    """Facts about names, by provider. An alias holds in both directions: a list may use either name."""

    def __init__(self, aliases: Iterable[Alias] = ()) -> None:
        self._facts: dict[NamePair, dict[str, Alias]] = defaultdict(dict)
        models: dict[NamePair, str] = {}
        for alias in aliases:
            stated = (alias.provider, alias.native_id)
            if alias.native_id == alias.model:
                raise InvalidAliasError(f"{alias.provider} {alias.model}: an alias must differ from the model's name")
            if models.setdefault(stated, alias.model) != alias.model:
                raise InvalidAliasError(f"{alias.provider} {alias.native_id}: one name can not be an alias of two models")
            self._facts[stated][alias.model] = alias
            self._facts[alias.provider, alias.model][alias.native_id] = alias

    def of(self, provider: str, name: str) -> Mapping[str, Alias]:
        """Return the other names of a model at a provider, with the fact behind each."""
        return self._facts.get((provider, name), {})


class ListedNames(Struct):
    """The names that a price list uses, at any provider and at any time."""

    _names: set[NamePair] = field(default_factory=set)
    _by_lower: dict[NamePair, set[str]] = field(default_factory=lambda: defaultdict(set))
    _providers: set[str] = field(default_factory=set)

    def add(self, provider: str, model: str) -> None:
        """Add a name."""
        if (provider, model) not in self._names:
            self._names.add((provider, model))
            self._by_lower[provider, model.casefold()].add(model)
            self._providers.add(provider)

    def lists(self, provider: str) -> bool:
        """Whether the list has any model of the provider."""
        return provider in self._providers

    def providers(self) -> frozenset[str]:
        """Return the providers that are listed."""
        return frozenset(self._providers)

    def resolve(self, provider: str, stated: str, aliases: Aliases) -> ResolvedName:
        """Return the name under which the list knows what a record calls ``stated``."""
        if (provider, stated) in self._names:
            return ResolvedName(NameMatch.EXACT, stated)
        known = aliases.of(provider, stated)
        found = sorted(name for name in known if (provider, name) in self._names)
        if len(found) == 1:
            return ResolvedName(NameMatch.ALIAS, found[0], alias=known[found[0]])
        if not found:
            found = sorted(self._by_lower.get((provider, stated.casefold()), ()))
            if len(found) == 1:
                return ResolvedName(NameMatch.CASE, found[0])
        return ResolvedName(NameMatch.AMBIGUOUS, candidates=tuple(found)) if found else NOT_LISTED
