"""The paper that a statement is printed on: A4, a cursor that goes down, pages that begin by themselves.

The fonts are those that every reader of PDF has, so nothing is embedded. They hold the letters of Western Europe; a letter of
another script is written as its code point (``\\u65e5``), so that no two names look alike.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

PLAIN, BOLD, FIXED = "Helvetica", "Helvetica-Bold", "Courier"
INK, SOFT, LINE, TINT, MARK = (HexColor(code) for code in ("#1a1c20", "#6b7280", "#d8dbe1", "#f4f5f7", "#b45309"))

WIDTH, HEIGHT = A4
LEFT, RIGHT = 48.0, WIDTH - 48.0
_TOP, _BOTTOM = HEIGHT - 52.0, 62.0


class PdfPages:
    """Draws from the top of the first page downwards. ``furnish`` draws what every page has, given the page's number."""

    def __init__(self, file: Any, title: str, furnish: Callable[["PdfPages", int], None]) -> None:
        # Without the time and a random id in it, the same statement is the same bytes.
        self.canvas = Canvas(file, pagesize=A4, invariant=1, pageCompression=1)
        self.canvas.setTitle(printable(title))
        self.furnish = furnish
        self.page = 0
        self.y = 0.0
        self._begin()

    def room(self, height: float) -> bool:
        """Begin another page where less than ``height`` is left; return whether it did."""
        if self.y - height >= _BOTTOM:
            return False
        self.canvas.showPage()
        self._begin()
        return True

    def down(self, height: float) -> None:
        """Move the cursor."""
        self.y -= height

    def write(self, x: float, text: str, *, size: float = 8.5, font: str = PLAIN, color: Any = INK) -> None:
        """Write from ``x`` on, at the cursor."""
        self._ink(font, size, color)
        self.canvas.drawString(x, self.y, printable(text))

    def write_before(self, x: float, text: str, *, size: float = 8.5, font: str = PLAIN, color: Any = INK) -> None:
        """Write so that it ends at ``x``."""
        self._ink(font, size, color)
        self.canvas.drawRightString(x, self.y, printable(text))

    def write_around(self, x: float, before: str, after: str, lighter: str, *, font: str) -> None:
        """Write an amount whose decimal point is at ``x``, as one piece of text that can be searched and copied."""
        text = self.canvas.beginText(x - stringWidth(before, font, 8.5), self.y)
        text.setFont(font, 8.5)
        text.setFillColor(INK)
        text.textOut(before + after)
        text.setFont(PLAIN, 8.5)
        text.setFillColor(SOFT)
        text.textOut(lighter)
        self.canvas.drawText(text)

    def paragraph(self, x: float, text: str, width: float, *, size: float = 8.5, font: str = PLAIN, color: Any = INK) -> None:
        """Write lines of ``width``; the cursor is left on the last one."""
        for number, line in enumerate(folded(text, width, size=size, font=font)):
            if number:
                self.down(size * 1.3)
                self.room(0)
            self.write(x, line, size=size, font=font, color=color)

    def rule(self, *, color: Any = LINE, thickness: float = 0.6, above: float = 0.0) -> None:
        """Draw a line across the page, ``above`` the cursor."""
        self.canvas.setStrokeColor(color)
        self.canvas.setLineWidth(thickness)
        self.canvas.line(LEFT, self.y + above, RIGHT, self.y + above)

    def band(self, height: float) -> None:
        """Tint a band that begins at the cursor."""
        self.canvas.setFillColor(TINT)
        self.canvas.roundRect(LEFT, self.y - height, RIGHT - LEFT, height, 4, stroke=0, fill=1)

    def finish(self) -> int:
        """Write the file; return how many pages it has."""
        self.canvas.showPage()
        self.canvas.save()
        return self.page

    def _begin(self) -> None:
        self.page += 1
        self.y = _TOP
        self.furnish(self, self.page)
        self.y = _TOP

    def _ink(self, font: str, size: float, color: Any) -> None:
        self.canvas.setFont(font, size)
        self.canvas.setFillColor(color)


def printable(text: str) -> str:
    """Return a text in letters that the fonts have; another letter is its code point."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return shown.encode("cp1252", "backslashreplace").decode("cp1252")


def fitting(text: str, width: float, size: float, font: str) -> float:
    """Return the size, ``size`` at most, at which a text is not wider than ``width``."""
    taken: float = stringWidth(printable(text), font, size)
    return min(size, size * width / max(taken, 1))


@lru_cache(maxsize=4096)
def folded(text: str, width: float, *, size: float = 8.5, font: str = PLAIN) -> tuple[str, ...]:
    """Return a text as lines that are not wider than ``width``; a word that is gets broken."""
    lines: list[str] = []
    for line in simpleSplit(printable(text), font, size, width):
        rest = line
        while stringWidth(rest, font, size) > width:
            fits = max(1, sum(1 for end in range(1, len(rest)) if stringWidth(rest[:end], font, size) <= width))
            lines.append(rest[:fits])
            rest = rest[fits:]
        lines.append(rest)
    return tuple(lines)
