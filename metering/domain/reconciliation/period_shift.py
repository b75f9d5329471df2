"""The edge of a period: requests that one side counts in it and the other in its neighbour.

A line about a request from beyond the period is a fact. Where such lines are on one side only, a period that begins and ends
some hours earlier or later, as in another time zone, would also explain requests that are missing at the other edge; it is
taken only where nothing contradicts it: every line found is inside of the shifted period.
"""

from collections.abc import Sequence

from msgspec import Struct

from metering.domain.instants import MICROS_PER_HOUR

LONGEST_SHIFT_MICROS = 14 * MICROS_PER_HOUR
_STEP = MICROS_PER_HOUR // 2


class PeriodEdges(Struct):
    """What was seen near the edges of ``[start, end)``: times of lines beyond it, the first and the last line inside."""

    start: int
    end: int
    before: int | None = None
    after: int | None = None
    first_inside: int | None = None
    last_inside: int | None = None

    def see_inside(self, time: int) -> None:
        """A request inside of the period has a line."""
        self.first_inside = time if self.first_inside is None else min(self.first_inside, time)
        self.last_inside = time if self.last_inside is None else max(self.last_inside, time)

    def see_outside(self, time: int) -> None:
        """A request beyond the period has a line."""
        if time < self.start:
            self.before = time if self.before is None else min(self.before, time)
        else:
            self.after = time if self.after is None else max(self.after, time)


def find_shift(edges: PeriodEdges, missing: Sequence[int]) -> int:
    """Return the shift (microseconds) that explains most of the requests missing near the edges; 0 where none is possible.

    ``missing`` are the times of requests inside of the period without a line.
    """
    possible = [shift for size in range(1, LONGEST_SHIFT_MICROS // _STEP + 1) for shift in (size * _STEP, -size * _STEP)]
    fits = [shift for shift in possible if _is_possible(edges, shift)]
    return min(
        fits,
        key=lambda shift: (-sum(is_shifted_out(edges, time, shift) for time in missing), shift % MICROS_PER_HOUR, abs(shift)),
        default=0,
    )


def is_shifted_out(edges: PeriodEdges, time: int, shift: int) -> bool:
    """Whether a request inside of the period is outside of the shifted one."""
    return edges.start <= time < edges.end and not edges.start + shift <= time < edges.end + shift


def format_shift(shift: int) -> str:
    """Write a shift in hours: ``+2 h``, ``-5.5 h``."""
    hours, rest = divmod(abs(shift), MICROS_PER_HOUR)
    return f"{'-' if shift < 0 else '+'}{hours}{'.5' if rest else ''} h"


def read_shift(text: str) -> int | None:
    """Read a shift (microseconds) as it is written; None where it is none."""
    size = text.removesuffix(" h").lstrip("+-")
    hours, _, half = size.partition(".")
    if not text.startswith(("+", "-")) or not text.endswith(" h") or not hours.isdecimal() or half not in ("", "5"):
        return None
    micros = int(hours) * MICROS_PER_HOUR + (_STEP if half else 0)
    return -micros if text.startswith("-") else micros


def _is_possible(edges: PeriodEdges, shift: int) -> bool:
    start, end = edges.start + shift, edges.end + shift
    beyond = [time for time in (edges.before, edges.after) if time is not None]
    inside = [time for time in (edges.first_inside, edges.last_inside) if time is not None]
    return bool(beyond) and all(start <= time < end for time in (*beyond, *inside))
