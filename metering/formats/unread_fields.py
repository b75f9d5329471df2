"""Fields that a record carried and no event keeps are counted by name, so that nothing is dropped silently.

Only the name is kept: an unknown field may hold a prompt, and prompts are never stored.
"""

MAX_NAME_LENGTH = 64
MAX_NAMES = 100
OTHER = "(other)"


class UnreadFields:
    """Counts of unread fields by name, at most 100 names; what comes after them is counted as ``(other)``."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, name: str) -> None:
        """Count one more record that carried the field."""
        name = name[:MAX_NAME_LENGTH].replace("\0", "")
        if name not in self._counts and len(self._counts) >= MAX_NAMES:
            name = OTHER
        self._counts[name] = self._counts.get(name, 0) + 1

    def drain(self) -> dict[str, int]:
        """Return the counts since the last call."""
        counts, self._counts = self._counts, {}
        return counts
