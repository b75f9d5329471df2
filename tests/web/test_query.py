"""Instants, months and lists in query parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.instants import MICROS_PER_DAY, format_instant, parse_instant
from metering.web.problems import ApiProblem
from metering.web.query import day, instant, listed, month, period

NOW = parse_instant("2026-12-31T23:59:59.999999Z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("1970-01-02T00:00:00Z", MICROS_PER_DAY),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.0000019Z", 1),
        ("2026-11-03", parse_instant("2026-11-03T00:00:00Z")),
    ],
)
def test_an_instant_is_rfc_3339_or_a_date_in_utc(text, expected):
    assert instant("at", text) == expected


@given(st.text(max_size=30))
def test_any_text_is_either_an_instant_or_refused(text):
    try:
        assert format_instant(instant("at", text))
    except ApiProblem as problem:
        assert problem.code in ("invalid_time", "naive_time")
        assert problem.errors[0].field == "at"


def test_a_day_is_a_date_and_nothing_else():
    assert day("day", "2026-11-16").isoformat() == "2026-11-16"
    for text in ("2026-11-16T00:00:00Z", "20261116", "2026-W47-1", "2026-11-31", ""):
        with pytest.raises(ApiProblem):
            day("day", text)


def test_the_default_month_is_the_current_one_and_the_last_is_a_year_ahead():
    assert month("month", None, NOW) == 202612
    assert month("month", "2027-12", NOW) == 202712
    for text in ("2028-01", "2019-12", "2026-00", "2026-1", "26-11", "2026-11-01", "", "²⁰²⁶-11"):
        with pytest.raises(ApiProblem) as caught:
            month("month", text, NOW)
        assert caught.value.code == "invalid_time"


def test_the_default_period_is_the_current_month():
    first, last = period(None, None, NOW)
    assert (format_instant(first)[:10], format_instant(last)[:10]) == ("2026-12-01", "2027-01-01")
    with pytest.raises(ApiProblem):
        period("2027-01-01", None, NOW)
    assert period("2026-01-01", "2026-01-02", NOW)[1] - period("2026-01-01", "2026-01-02", NOW)[0] == MICROS_PER_DAY


def test_a_list_is_separated_by_commas_or_a_repeated_parameter():
    assert listed(["a, b", "c", ""]) == ("a", "b", "c")
    assert listed(None) == ()
