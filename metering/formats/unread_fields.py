"""Count, by name, the fields of records that no event keeps, so that nothing is dropped silently.

Only names are kept: an unknown field may contain a prompt, and prompts are never stored.
"""

MAX_NAME_LENGTH = 64
MAX_NAMES = 100
OTHER = "(other)"


class UnreadFields:
    """Counts of unread fields by name. After 100 names, further names are counted as ``(other)``."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, name: str) -> None:
        """Count one more record with the field."""
        name = name[:MAX_NAME_LENGTH].replace("\0", "")
        if name not in self._counts and len(self._counts) >= MAX_NAMES:
            name = OTHER
        self._counts[name] = self._counts.get(name, 0) + 1

    def drain(self) -> dict[str, int]:
        """Return the counts since the last call."""
        counts, self._counts = self._counts, {}
        return counts
