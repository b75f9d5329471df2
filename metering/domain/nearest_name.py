"""The known name that an unknown one probably means: the same but for letter case, or misspelled."""

from collections.abc import Collection
from difflib import get_close_matches

# Higher than difflib's 0.6, which suggests names that only share a few letters.
_CUTOFF = 0.75


def nearest_name(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like ``name``; None if none is."""
    folded = {each.casefold(): each for each in sorted(known, reverse=True)}
    alike = get_close_matches(name.casefold(), folded, n=1, cutoff=_CUTOFF)
    return folded[alike[0]] if alike else None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return ``; did you mean 'NAME'?``, or nothing if no known name is alike."""
    nearest = nearest_name(name, known)
    return "" if nearest is None else f"; did you mean {nearest!r}?"
