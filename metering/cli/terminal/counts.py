"""Counts as people write them: one table, two tables."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun; the plural adds an s unless it is given."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def were(number: int) -> str:
    """Return the verb of so many."""
    return "was" if number == 1 else "were"
