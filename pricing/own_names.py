"""Model names of one's own: from an instant until another, a name at a provider means a model.

Such a name comes before everything that price lists and bundled aliases know. It says nothing about other times: outside its
period, the name is looked up as it is stated. Letter case does not matter. A name is resolved once, never through another one.
"""

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from pricing.errors import InvalidAliasError


class OwnName(Struct, frozen=True, kw_only=True):
    """``name`` at ``provider`` is ``model`` from ``valid_from`` until ``valid_until`` (microseconds UTC; exclusive).

    A period without an end has None. ``id`` is 0 before it is recorded.
    """

    provider: str
    name: str
    model: str
    valid_from: int
    valid_until: int | None = None
    id: int = 0

    def __post_init__(self) -> None:
        if not (self.provider and self.name and self.model):
            raise InvalidAliasError("an alias needs a provider, a name and a model")
        if self.name == self.model:
            raise InvalidAliasError(f"{self.provider} {self.name}: an alias must differ from the model's name")
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise InvalidAliasError(f"{self.provider} {self.name}: an alias must end after it starts")

    def covers(self, instant: int) -> bool:
        """Whether the name has this meaning at an instant."""
        return self.valid_from <= instant and (self.valid_until is None or instant < self.valid_until)

    def overlaps(self, other: "OwnName") -> bool:
        """Whether two names are the same one, at some instant both."""
        if (self.provider, self.name.casefold()) != (other.provider, other.name.casefold()):
            return False
        starts_before_end = other.valid_until is None or self.valid_from < other.valid_until
        return starts_before_end and (self.valid_until is None or other.valid_from < self.valid_until)


class OwnNames:
    """All names of one's own, none of which overlap."""

    def __init__(self, names: Iterable[OwnName] = ()) -> None:
        self._names: dict[tuple[str, str], list[OwnName]] = defaultdict(list)
        for own in sorted(names, key=lambda own: own.valid_from):
            same = self._names[own.provider, own.name.casefold()]
            if same and same[-1].overlaps(own):
                raise InvalidAliasError(f"{own.provider} {own.name}: one name cannot mean two models at once")
            same.append(own)

    def of(self, provider: str, name: str) -> tuple[OwnName, ...]:
        """Return the meanings of a name at a provider, oldest first."""
        return tuple(self._names.get((provider, name.casefold()), ()))

    def at(self, provider: str, name: str, instant: int) -> OwnName | None:
        """Return the meaning of a name at an instant; None if it has none of one's own."""
        return next((own for own in self.of(provider, name) if own.covers(instant)), None)
