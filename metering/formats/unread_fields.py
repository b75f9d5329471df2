"""Count, by name, the fields of records that no event keeps, so that nothing is dropped silently.

Only names are kept: an unknown field may contain a prompt, and prompts are never stored.
"""

from collections.abc import Collection

MAX_NAME_LENGTH = 64
MAX_NAMES = 100
OTHER = "(other)"


class UnreadFields:
    """Counts of unread fields by name. After 100 names, further names are counted as ``(other)``.

    ``kept_as_tags`` are fields that are not counted, because they are kept.
    """

    def __init__(self, kept_as_tags: Collection[str] = ()) -> None:
        self._kept = frozenset(kept_as_tags)
        self._counts: dict[str, int] = {}

    def note(self, name: str) -> None:
        """Count one more record with the field."""
        if name in self._kept:
            return
        name = name[:MAX_NAME_LENGTH].replace("\0", "")
        if name not in self._counts and len(self._counts) >= MAX_NAMES:
            name = OTHER
        self._counts[name] = self._counts.get(name, 0) + 1

    def drain(self) -> dict[str, int]:
        """Return the counts since the last call."""
        counts, self._counts = self._counts, {}
        return counts
