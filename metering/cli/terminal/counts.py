"""Counts with their noun: 1 table, 2 tables."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun; the plural adds an s unless it is given."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def were(number: int) -> str:
    """Return ``was`` or ``were``, to agree with a count."""
    return "was" if number == 1 else "were"
