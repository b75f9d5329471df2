"""A table that is wider than the terminal gets narrower columns; no word of it is broken while any other way is left.

Names are wrapped after ``/`` and ``-`` and between words, times and titles between words, numbers never. The widest column
gives first. Only where the words themselves are too wide together are names and titles cut, those of one column before those of
another: the longest part is an identifier, the others are words. Nothing is ever left out.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Breaks = Literal["name", "words", "never"]
"""Where a text may be broken."""

GAP = 2
_CUT = 6  # nothing is cut shorter
_PARTS: dict[Breaks, re.Pattern[str]] = {"name": re.compile(r"[^\s/-]*[/-]+|[^\s/-]+|\s+"), "words": re.compile(r"\S+|\s+")}


class Extent(NamedTuple):
    """How wide a column would be, how wide its widest part is, and how wide it is at least where parts are cut."""

    natural: int
    unbroken: int
    least: int

    def beside(self, title: "Extent") -> "Extent":
        """Return the extent of the column under its title."""
        return Extent(*map(max, self, title._replace(least=min(title.unbroken, _CUT))))


def extent(texts: Sequence[str], *, breaks: Breaks) -> Extent:
    """Return how wide a column of these texts would be."""
    natural = max(map(len, texts), default=0)
    if breaks == "never":
        return Extent(natural, natural, natural)
    unbroken = max((len(part) for text in texts for part in _PARTS[breaks].findall(text)), default=0)
    return Extent(natural, unbroken, min(unbroken, _CUT) if breaks == "name" else unbroken)


def fitted(extents: Sequence[Extent], room: int) -> list[int]:
    """Return a width for each column so that all fit into ``room`` with a GAP between them, as far as that is possible."""
    widths = [each.natural for each in extents]
    excess = sum(widths) + GAP * (len(widths) - 1) - room
    while excess > 0 and (able := [at for at, width in enumerate(widths) if width > extents[at].unbroken]):
        widths[max(able, key=lambda at: widths[at])] -= 1
        excess -= 1
    for at in sorted(range(len(widths)), key=lambda at: -widths[at]):
        given = max(0, min(excess, widths[at] - extents[at].least))
        widths[at] -= given
        excess -= given
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
