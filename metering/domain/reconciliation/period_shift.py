"""The edges of a period: requests that one side counts in the period and the other in an adjacent one.

A line about a request outside of the period is a fact. If such lines are at one edge only, a period that starts and ends some
hours earlier or later, as in another time zone, would also explain requests missing at the other edge. Such a shift is
assumed only if every line that was found lies inside the shifted period.
"""

from collections.abc import Sequence

from msgspec import Struct

from metering.domain.instants import MICROS_PER_HOUR

MAX_SHIFT_MICROS = 14 * MICROS_PER_HOUR
_STEP = MICROS_PER_HOUR // 2


class PeriodEdges(Struct):
    """What was seen near the edges of ``[start, end)``: times of lines outside of it, and the first and last line inside."""

    start: int
    end: int
    before: int | None = None
    after: int | None = None
    first_inside: int | None = None
    last_inside: int | None = None

    def see_inside(self, time: int) -> None:
        """Note a request inside the period that has a line."""
        self.first_inside = time if self.first_inside is None else min(self.first_inside, time)
        self.last_inside = time if self.last_inside is None else max(self.last_inside, time)

    def see_outside(self, time: int) -> None:
        """Note a request outside of the period that has a line."""
        if time < self.start:
            self.before = time if self.before is None else min(self.before, time)
        else:
            self.after = time if self.after is None else max(self.after, time)


def find_shift(edges: PeriodEdges, missing: Sequence[int]) -> int:
    """Return the shift (microseconds) that explains most of the requests missing near the edges; 0 if none is possible.

    ``missing`` are the times of requests inside the period that have no line.
    """
    shifts = [shift for size in range(1, MAX_SHIFT_MICROS // _STEP + 1) for shift in (size * _STEP, -size * _STEP)]
    possible = [shift for shift in shifts if _is_possible(edges, shift)]
    return min(
        possible,
        key=lambda shift: (-sum(is_shifted_out(edges, time, shift) for time in missing), shift % MICROS_PER_HOUR, abs(shift)),
        default=0,
    )


def is_shifted_out(edges: PeriodEdges, time: int, shift: int) -> bool:
    """Return whether a time is inside the period and outside of the shifted one."""
    return edges.start <= time < edges.end and not edges.start + shift <= time < edges.end + shift


def format_shift(shift: int) -> str:
    """Write a shift in hours: ``+2 h``, ``-5.5 h``."""
    hours, rest = divmod(abs(shift), MICROS_PER_HOUR)
    return f"{'-' if shift < 0 else '+'}{hours}{'.5' if rest else ''} h"


def read_shift(text: str) -> int | None:
    """Read a shift (microseconds) as it is written; None if the text is not a shift."""
    size = text.removesuffix(" h").lstrip("+-")
    hours, _, half = size.partition(".")
    if not text.startswith(("+", "-")) or not text.endswith(" h") or not hours.isdecimal() or half not in ("", "5"):
        return None
    micros = int(hours) * MICROS_PER_HOUR + (_STEP if half else 0)
    return -micros if text.startswith("-") else micros


def _is_possible(edges: PeriodEdges, shift: int) -> bool:
    start, end = edges.start + shift, edges.end + shift
    outside = [time for time in (edges.before, edges.after) if time is not None]
    inside = [time for time in (edges.first_inside, edges.last_inside) if time is not None]
    return bool(outside) and all(start <= time < end for time in (*outside, *inside))
