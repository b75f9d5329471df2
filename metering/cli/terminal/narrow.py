"""A table that is wider than the terminal gets narrower columns; no word of it is broken, and nothing is left out.

Names are wrapped after ``/`` and ``-`` and between words, codes after ``.``, ``_`` and ``/``, times and titles between words,
numbers never. The widest column gives first. Where the words themselves are too wide together it is no table any more: each row
is told as a list of its columns.
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
    """How wide a column would be, and how wide its widest part is."""

    natural: int
    unbroken: int

    def beside(self, title: "Extent") -> "Extent":
        """Return the extent of the column under its title."""
        return Extent(*map(max, self, title))


def extent(texts: Sequence[str], *, breaks: Breaks) -> Extent:
    """Return how wide a column of these texts would be."""
    natural = max(map(len, texts), default=0)
    if breaks == "never":
        return Extent(natural, natural)
    return Extent(natural, max((len(part) for text in texts for part in _PARTS[breaks].findall(text)), default=0))


def fitted(extents: Sequence[Extent], room: int) -> list[int] | None:
    """Return a width for each column so that all fit into ``room`` with a GAP between them; None where no word may be cut."""
    widths = [each.natural for each in extents]
    excess = sum(widths) + GAP * (len(widths) - 1) - room
    while excess > 0:
        able = [at for at, width in enumerate(widths) if width > extents[at].unbroken]
        if not able:
            return None
        widths[max(able, key=lambda at: widths[at])] -= 1
        excess -= 1
    return widths


def wrapped(text: str, width: int, *, breaks: Breaks) -> str:
    """Return the text in lines of at most ``width``, broken where its kind may be, and anywhere where a part is wider."""
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
