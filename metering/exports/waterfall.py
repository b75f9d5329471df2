"""The geometry of a waterfall chart: two totals, and between them the steps that lead from one to the other.

All positions are whole units of the drawing, computed from whole nano-USD, so that no amount is ever a float. If the steps are
small compared with the totals, the axis does not start at zero. ``templates/waterfall.svg`` draws the chart.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

_WIDTH, _LABELS, _AMOUNTS, _ROW, _BAR, _HEAD = 960, 330, 170, 38, 20, 26
_BARS = _WIDTH - _LABELS - _AMOUNTS
_MIN_BAR = 2
_TRUNCATE_BELOW_PERCENT = 25

BarKind = Literal["total", "more", "less", "unexplained"]


class Bar(NamedTuple):
    """A total, or a step by an amount; ``shown`` is the amount as text."""

    label: str
    amount: int
    kind: BarKind
    shown: str


class Link(NamedTuple):
    """The line from the end of a bar down to the next bar."""

    x: int
    top: int
    bottom: int


class Row(NamedTuple):
    """A bar's place in the chart: the rectangle, the baseline of its texts, and the link to the next bar."""

    bar: Bar
    left: int
    top: int
    width: int
    baseline: int
    link: Link | None


class Waterfall(NamedTuple):
    """A chart. ``axis_start`` is the amount that the axis starts at, 0 unless it is truncated."""

    rows: tuple[Row, ...]
    axis_start: int
    height: int
    width: int = _WIDTH
    bar_height: int = _BAR
    axis_x: int = _LABELS
    axis_top: int = _HEAD - 8


class _Span(NamedTuple):
    bar: Bar
    start: int
    end: int


def waterfall(bars: Sequence[Bar]) -> Waterfall:
    """Return the chart of bars, in their order."""
    spans = _spans(bars)
    low, high = _extent(spans)
    following: list[_Span | None] = [*spans[1:], None]
    rows = [
        _row(span, has_link=after is not None, top=_HEAD + _ROW * number, low=low, high=high)
        for number, (span, after) in enumerate(zip(spans, following, strict=True))
    ]
    return Waterfall(tuple(rows), low, _HEAD + _ROW * len(spans))


def _spans(bars: Sequence[Bar]) -> list[_Span]:
    spans, at = [], 0
    for bar in bars:
        start, at = (0, bar.amount) if bar.kind == "total" else (at, at + bar.amount)
        spans.append(_Span(bar, start, at))
    return spans


def _extent(spans: Sequence[_Span]) -> tuple[int, int]:
    """Return the amounts at both ends of the axis."""
    ends = [span.end for span in spans]
    least, most = min(ends), max(ends)
    moved = most - least
    if least > 0 and moved * 100 < most * _TRUNCATE_BELOW_PERCENT:
        return max(0, least - max(moved // 3, 1)), max(most, least + 1)
    return min(0, least), max(most, 1)


def _row(span: _Span, *, has_link: bool, top: int, low: int, high: int) -> Row:
    start, end = (_x(max(amount, low), low, high) for amount in (span.start, span.end))
    bar_top = top + (_ROW - _BAR) // 2
    link = Link(end, bar_top + _BAR, bar_top + _ROW) if has_link else None
    return Row(span.bar, min(start, end), bar_top, max(_MIN_BAR, abs(end - start)), top + _ROW // 2 + 5, link)


def _x(amount: int, low: int, high: int) -> int:
    return _LABELS + (amount - low) * _BARS // max(1, high - low)
