"""A waterfall as inline SVG: two totals, and between them the steps that lead from one to the other."""

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _LABELS, _AMOUNTS, _ROW, _BAR, _HEAD = 960, 330, 170, 38, 20, 26
_ROOM = _WIDTH - _LABELS - _AMOUNTS
_TRUNCATE_BELOW_PERCENT = 25


class Bar(NamedTuple):
    """A total, or a step by an amount; ``shown`` is the amount in words, ``kind`` its look: total, more, less, unexplained."""

    label: str
    amount: int
    kind: str
    shown: str


class _Span(NamedTuple):
    bar: Bar
    start: int
    end: int


def waterfall(bars: Sequence[Bar], *, axis: Callable[[int], str]) -> str:
    """Return the drawing; ``axis`` writes where the axis begins, where that is not zero."""
    spans = _spans(bars)
    low, high = _extent(spans)
    height = _HEAD + _ROW * len(spans)
    words = "; ".join(f"{each.bar.label} {each.bar.shown}" for each in spans)
    parts = [
        f'<svg class="waterfall" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(words)}">',
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" class="hatch-ground"/><rect width="3" height="6" class="hatch-line"/></pattern></defs>',
        f'<line class="axis" x1="{_LABELS}" x2="{_LABELS}" y1="{_HEAD - 8}" y2="{height}"/>',
    ]
    if low:
        parts.append(f'<text class="note" x="{_LABELS}" y="12">the axis begins at {escape(axis(low))}</text>')
    for number, span in enumerate(spans):
        following = spans[number + 1] if number + 1 < len(spans) else None
        parts += _row(span, following, _HEAD + _ROW * number, low, high)
    return "".join([*parts, "</svg>"])


def _spans(bars: Sequence[Bar]) -> list[_Span]:
    spans, at = [], 0
    for bar in bars:
        if bar.kind == "total":
            at = bar.amount
            spans.append(_Span(bar, 0, at))
        else:
            spans.append(_Span(bar, at, at + bar.amount))
            at += bar.amount
    return spans


def _extent(spans: Sequence[_Span]) -> tuple[int, int]:
    ends = [span.end for span in spans]
    least, most = min(ends), max(ends)
    moved = most - least
    if least > 0 and moved * 100 < most * _TRUNCATE_BELOW_PERCENT:
        return max(0, least - max(moved // 3, 1)), max(most, least + 1)
    return min(0, least), max(most, 1)


def _row(span: _Span, following: _Span | None, top: int, low: int, high: int) -> list[str]:
    start, end = (_x(max(value, low), low, high) for value in (span.start, span.end))
    left, width = min(start, end), max(2, abs(end - start))
    middle, bar_top = top + _ROW // 2, top + (_ROW - _BAR) // 2
    strong = " strong" if span.bar.kind == "total" else ""
    parts = [
        f'<text class="label{strong}" x="{_LABELS - 14}" y="{middle + 5}" text-anchor="end">{escape(span.bar.label)}</text>',
        f'<rect class="bar {span.bar.kind}" x="{left}" y="{bar_top}" width="{width}" height="{_BAR}" rx="3">'
        f"<title>{escape(span.bar.label)}: {escape(span.bar.shown)}</title></rect>",
        f'<text class="amount{strong}" x="{_WIDTH}" y="{middle + 5}" text-anchor="end">{escape(span.bar.shown)}</text>',
    ]
    if following is not None:
        parts.append(f'<line class="link" x1="{end}" x2="{end}" y1="{bar_top + _BAR}" y2="{bar_top + _ROW}"/>')
    return parts


def _x(value: int, low: int, high: int) -> int:
    return _LABELS + (value - low) * _ROOM // max(1, high - low)
