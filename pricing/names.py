"""Model names: find a price list's own name for the model that a record states.

The stated name is tried first, then an alias, which is a recorded fact about one provider's spelling, then the same name in
other letter case, if exactly one name matches. A name that matches several is ambiguous, and none of them is picked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct, field

from pricing.errors import InvalidAliasError

NamePair = tuple[str, str]
"""(provider, model)."""


class NameMatch(StrEnum):
    """How a stated name matched a name of a price list."""

    EXACT = "exact"
    ALIAS = "alias"
    CASE = "case"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


class Alias(Struct, frozen=True):
    """A provider's own name for a model, and where that was read."""

    provider: str
    native_id: str
    model: str
    source: str


class ResolvedName(Struct, frozen=True):
    """The list's name for a model; None if the list does not have the model, or the name is ambiguous.

    ``candidates`` are the names that an ambiguous name matches, ``alias`` is the alias that matched.
    """

    match: NameMatch
    model: str | None = None
    candidates: tuple[str, ...] = ()
    alias: Alias | None = None


NOT_LISTED = ResolvedName(NameMatch.NONE)


class Aliases:
    """Aliases of model names, by provider. An alias works in both directions: a list may use either name."""

    def __init__(self, aliases: Iterable[Alias] = ()) -> None:
        self._aliases: dict[NamePair, dict[str, Alias]] = defaultdict(dict)
        models: dict[NamePair, str] = {}
        for alias in aliases:
            stated = (alias.provider, alias.native_id)
            if alias.native_id == alias.model:
                raise InvalidAliasError(f"{alias.provider} {alias.model}: an alias must differ from the model's name")
            if models.setdefault(stated, alias.model) != alias.model:
                raise InvalidAliasError(f"{alias.provider} {alias.native_id}: one name cannot be an alias of two models")
            self._aliases[stated][alias.model] = alias
            self._aliases[alias.provider, alias.model][alias.native_id] = alias

    def of(self, provider: str, name: str) -> Mapping[str, Alias]:
        """Return the other names of a model at a provider, each with its alias."""
        return self._aliases.get((provider, name), {})


class ListedNames(Struct):
    """The names that a price list uses, for all providers and all time."""

    _names: set[NamePair] = field(default_factory=set)
    _by_lower: dict[NamePair, set[str]] = field(default_factory=lambda: defaultdict(set))
    _providers: set[str] = field(default_factory=set)

    def add(self, provider: str, model: str) -> None:
        """Add a name."""
        if (provider, model) not in self._names:
            self._names.add((provider, model))
            self._by_lower[provider, model.casefold()].add(model)
            self._providers.add(provider)

    def has_provider(self, provider: str) -> bool:
        """Whether the list has any model of the provider."""
        return provider in self._providers

    def providers(self) -> frozenset[str]:
        """Return the listed providers."""
        return frozenset(self._providers)

    def resolve(self, provider: str, stated: str, aliases: Aliases) -> ResolvedName:
        """Return the list's name for the model that a record calls ``stated``."""
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
