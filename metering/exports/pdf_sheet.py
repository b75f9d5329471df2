"""PDF pages in A4 with a cursor that moves down and automatic page breaks.

The fonts are the standard ones of every PDF reader, so nothing is embedded. They cover Western European scripts only; other
characters are written as their code point (``\\u65e5``), so that different names stay different.
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
    """Draws from the top of the first page down. ``decorate`` draws the parts that every page has, given the page number."""

    def __init__(self, file: Any, title: str, decorate: Callable[["PdfPages", int], None]) -> None:
        # invariant: no creation time and no random id, so the same statement gives the same bytes.
        self.canvas = Canvas(file, pagesize=A4, invariant=1, pageCompression=1)
        self.canvas.setTitle(printable(title))
        self.decorate = decorate
        self.page = 0
        self.y = 0.0
        self._begin()

    def ensure_space(self, height: float) -> bool:
        """Start a new page if less than ``height`` is left; return whether it did."""
        if self.y - height >= _BOTTOM:
            return False
        self.canvas.showPage()
        self._begin()
        return True

    def move_down(self, height: float) -> None:
        """Move the cursor down; a negative ``height`` moves it up."""
        self.y -= height

    def write(self, x: float, text: str, *, size: float = 8.5, font: str = PLAIN, color: Any = INK) -> None:
        """Write text that starts at ``x``."""
        self._ink(font, size, color)
        self.canvas.drawString(x, self.y, printable(text))

    def write_right(self, x: float, text: str, *, size: float = 8.5, font: str = PLAIN, color: Any = INK) -> None:
        """Write text that ends at ``x``."""
        self._ink(font, size, color)
        self.canvas.drawRightString(x, self.y, printable(text))

    def write_amount(self, x: float, whole: str, cents: str, fine: str, *, font: str) -> None:
        """Write an amount with its decimal point at ``x`` and ``fine`` digits in gray, as one text that can be searched."""
        text = self.canvas.beginText(x - stringWidth(whole, font, 8.5), self.y)
        text.setFont(font, 8.5)
        text.setFillColor(INK)
        text.textOut(whole + cents)
        text.setFont(PLAIN, 8.5)
        text.setFillColor(SOFT)
        text.textOut(fine)
        self.canvas.drawText(text)

    def paragraph(self, x: float, text: str, width: float, *, size: float = 8.5, font: str = PLAIN, color: Any = INK) -> None:
        """Write text wrapped to ``width``; the cursor stays on its last line."""
        for number, line in enumerate(wrapped_lines(text, width, size=size, font=font)):
            if number:
                self.move_down(size * 1.3)
                self.ensure_space(0)
            self.write(x, line, size=size, font=font, color=color)

    def rule(self, *, color: Any = LINE, thickness: float = 0.6, above: float = 0.0) -> None:
        """Draw a line across the page, ``above`` points over the cursor."""
        self.canvas.setStrokeColor(color)
        self.canvas.setLineWidth(thickness)
        self.canvas.line(LEFT, self.y + above, RIGHT, self.y + above)

    def band(self, height: float) -> None:
        """Draw a tinted band down from the cursor."""
        self.canvas.setFillColor(TINT)
        self.canvas.roundRect(LEFT, self.y - height, RIGHT - LEFT, height, 4, stroke=0, fill=1)

    def finish(self) -> int:
        """Write the file; return its number of pages."""
        self.canvas.showPage()
        self.canvas.save()
        return self.page

    def _begin(self) -> None:
        self.page += 1
        self.y = _TOP
        self.decorate(self, self.page)
        self.y = _TOP

    def _ink(self, font: str, size: float, color: Any) -> None:
        self.canvas.setFont(font, size)
        self.canvas.setFillColor(color)


def printable(text: str) -> str:
    """Return text in characters that the fonts have; others become their code point."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return shown.encode("cp1252", "backslashreplace").decode("cp1252")


def fitting(text: str, width: float, size: float, font: str) -> float:
    """Return the largest font size, at most ``size``, at which text fits into ``width``."""
    natural: float = stringWidth(printable(text), font, size)
    return min(size, size * width / max(natural, 1))


@lru_cache(maxsize=4096)
def wrapped_lines(text: str, width: float, *, size: float = 8.5, font: str = PLAIN) -> tuple[str, ...]:
    """Wrap text into lines of at most ``width``; longer words are broken."""
    lines: list[str] = []
    for line in simpleSplit(printable(text), font, size, width):
        rest = line
        while stringWidth(rest, font, size) > width:
            fits = max(1, sum(1 for end in range(1, len(rest)) if stringWidth(rest[:end], font, size) <= width))
            lines.append(rest[:fits])
            rest = rest[fits:]
        lines.append(rest)
    return tuple(lines)
