"""Fitting a table into a narrow terminal: columns become narrower, no word is broken, and nothing is left out.

Names wrap after ``/`` and ``-`` and between words, codes after ``.``, ``_`` and ``/``, times and titles between words, numbers
never. The widest column shrinks first. If the words alone are too wide, each row is printed as a list of its columns.

Rich wraps at spaces only and then breaks words anywhere, down to one letter per line, so it does not do this for us.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Breaks = Literal["name", "code", "words", "never"]
"""Where a text may be broken."""

GAP = 2
_PARTS: dict[Breaks, re.Pattern[str]] = {
    "name": re.compile(r"[^\s/-]*[/-]+|[^\s/-]+|\s+"),
    "code": re.compile(r"[^\s._/]*[._/]+|[^\s._/]+|\s+"),
    "words": re.compile(r"\S+|\s+"),
}


class Extent(NamedTuple):
    """The natural width of a column, and the width of its widest part that cannot be broken."""

    natural: int
    unbroken: int

    def including(self, title: "Extent") -> "Extent":
        """Return the extent of the column with its title."""
        return Extent(*map(max, self, title))


def extent(texts: Sequence[str], *, breaks: Breaks) -> Extent:
    """Return the extent of a column of these texts."""
    natural = max(map(len, texts), default=0)
    if breaks == "never":
        return Extent(natural, natural)
    return Extent(natural, max((len(part) for text in texts for part in _PARTS[breaks].findall(text)), default=0))


def fitted(extents: Sequence[Extent], room: int) -> list[int] | None:
    """Return widths with which all columns fit into ``room``, a GAP apart; None if a word would have to be broken."""
    widths = [each.natural for each in extents]
    excess = sum(widths) + GAP * (len(widths) - 1) - room
    while excess > 0:
        shrinkable = [number for number, width in enumerate(widths) if width > extents[number].unbroken]
        if not shrinkable:
            return None
        widths[max(shrinkable, key=lambda number: widths[number])] -= 1
        excess -= 1
    return widths


def wrapped(text: str, width: int, *, breaks: Breaks) -> str:
    """Return the text in lines of at most ``width``, broken where its kind allows; a part that is wider is broken anywhere."""
    if len(text) <= width or breaks == "never":
        return text
    lines = [""]
    for part in _PARTS[breaks].findall(text):
        if len(lines[-1]) + len(part.rstrip()) <= width:
            lines[-1] += part
            continue
        if part.isspace():
            continue
        lines.append(part[:width])
        lines += [part[start : start + width] for start in range(width, len(part), width)]
    return "\n".join(line.rstrip() for line in lines if line.strip())
