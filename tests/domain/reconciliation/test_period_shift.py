"""A shifted period: possible only if every line that was found lies inside it, and written in hours."""

import pytest

from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR
from metering.domain.reconciliation.period_shift import PeriodEdges, find_shift, format_shift, is_shifted_out, read_shift

HOUR = MICROS_PER_HOUR
START, END = 20_000 * MICROS_PER_DAY, 20_030 * MICROS_PER_DAY


@pytest.mark.parametrize(
    ("shift", "text"), [(2 * HOUR, "+2 h"), (-2 * HOUR, "-2 h"), (11 * HOUR // 2, "+5.5 h"), (-11 * HOUR // 2, "-5.5 h")]
)
def test_a_shift_is_read_as_it_was_written(shift, text):
    assert format_shift(shift) == text
    assert read_shift(text) == shift


@pytest.mark.parametrize("text", ["", "2 h", "+2", "+h", "+2.25 h", "+two h"])
def test_anything_else_is_not_a_shift(text):
    assert read_shift(text) is None


def test_a_later_period_leaves_out_its_beginning_and_an_earlier_one_its_end():
    later, earlier = 2 * HOUR, -2 * HOUR
    edges = PeriodEdges(START, END)
    assert [is_shifted_out(edges, time, later) for time in (START - 1, START, START + later - 1, START + later, END - 1)] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert [is_shifted_out(edges, time, earlier) for time in (START, END + earlier - 1, END + earlier, END - 1, END)] == [
        False, False, True, True, False,
    ]  # fmt: skip


def test_lines_after_the_end_and_requests_missing_at_the_start_show_a_later_period():
    edges = PeriodEdges(START, END)
    edges.see_outside(END + HOUR)
    edges.see_inside(START + 3 * HOUR)
    # Two hours later, the period has the line after its end, and not the two requests that are missing.
    assert find_shift(edges, [START, START + 2 * HOUR - 1]) == 2 * HOUR


def test_lines_before_the_start_and_requests_missing_at_the_end_show_an_earlier_period():
    edges = PeriodEdges(START, END)
    edges.see_outside(START - HOUR)
    edges.see_inside(END - 3 * HOUR)
    assert find_shift(edges, [END - 1, END - 2 * HOUR]) == -2 * HOUR


def test_without_lines_outside_or_with_lines_at_both_edges_there_is_no_shift():
    edges = PeriodEdges(START, END)
    assert find_shift(edges, [START]) == 0
    edges.see_outside(END + HOUR)
    edges.see_outside(START - HOUR)
    assert find_shift(edges, [START]) == 0
