"""Time is UTC, periods are half-open, and digits past microseconds are truncated, never rounded."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.errors import InvalidTimeError
from metering.domain.instants import (
    EARLIEST,
    FUTURE_TOLERANCE,
    check_plausible,
    date_of,
    day_number,
    day_of,
    days_in,
    first_date,
    format_instant,
    format_month,
    month_of,
    month_start,
    next_month,
    parse_instant,
    parse_month,
    to_datetime,
    to_micros,
)

moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone is added


@given(moments)
def test_an_instant_is_exact_there_and_back(moment):
    assert to_datetime(to_micros(moment)) == moment
    assert parse_instant(format_instant(to_micros(moment))) == to_micros(moment)


def test_microseconds_count_from_1970():
    assert parse_instant("1970-01-01T00:00:00Z") == 0
    assert parse_instant("2026-11-03T10:15:00.123456Z") == 1_793_700_900_123_456


def test_digits_past_microseconds_are_truncated_so_that_a_month_does_not_end_early():
    last = parse_instant("2026-10-31T23:59:59.9999999Z")
    assert last == parse_instant("2026-10-31T23:59:59.999999Z")
    assert month_of(last) == 202610


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-03T12:00:00+02:00", "2026-11-03T10:00:00Z"),
        ("2026-11-01T00:30:00+01:00", "2026-10-31T23:30:00Z"),
        ("2026-11-03 10:00:00Z", "2026-11-03T10:00:00Z"),
    ],
)
def test_an_offset_is_converted_to_utc(text, same):
    assert parse_instant(text) == parse_instant(same)


def test_a_time_without_a_zone_is_refused_unless_one_is_named():
    with pytest.raises(InvalidTimeError) as refused:
        parse_instant("2026-07-01T10:00:00")
    assert refused.value.code == "naive_time"
    assert parse_instant("2026-07-01T10:00:00", ZoneInfo("Europe/Berlin")) == parse_instant("2026-07-01T08:00:00Z")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "1793700900", "\x00"])
def test_an_invalid_time_is_refused(text):
    with pytest.raises(InvalidTimeError) as refused:
        parse_instant(text)
    assert refused.value.code == "invalid_time"


@pytest.mark.parametrize(
    ("zone", "text", "offsets"),
    [
        # clocks go back from 03:00 to 02:00 in Berlin, from 02:00 to 01:00 in New York, by half an hour on Lord Howe
        ("Europe/Berlin", "2026-10-25T02:00:00", "at +02:00 and at +01:00"),
        ("Europe/Berlin", "2026-10-25T02:59:59.999999", "at +02:00 and at +01:00"),
        ("America/New_York", "2026-11-01T01:30:00", "at -04:00 and at -05:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45:00", "at +11:00 and at +10:30"),
    ],
)
def test_a_time_of_a_repeated_hour_is_refused_with_both_offsets(zone, text, offsets):
    with pytest.raises(InvalidTimeError, match="occurs twice in") as refused:
        parse_instant(text, ZoneInfo(zone))
    assert refused.value.code == "ambiguous_time"
    assert offsets in str(refused.value) and zone in str(refused.value)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Europe/Berlin", "2026-03-29T02:00:00"),
        ("Europe/Berlin", "2026-03-29T02:59:59"),
        ("America/New_York", "2026-03-08T02:30:00"),
    ],
)
def test_a_time_of_a_skipped_hour_is_refused(zone, text):
    with pytest.raises(InvalidTimeError, match="does not exist in") as refused:
        parse_instant(text, ZoneInfo(zone))
    assert refused.value.code == "invalid_time"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-10-25T01:59:59.999999", "2026-10-24T23:59:59.999999Z"),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        # an offset says which of both it is
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
    ],
)
def test_times_beside_a_change_of_clocks_are_read(text, utc):
    assert parse_instant(text, ZoneInfo("Europe/Berlin")) == parse_instant(utc)


@given(moments, st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]))
def test_a_local_time_is_read_as_the_instant_that_it_names_or_refused(moment, zone):
    local = moment.astimezone(ZoneInfo(zone))
    try:
        assert parse_instant(local.replace(tzinfo=None).isoformat(), ZoneInfo(zone)) == to_micros(moment)
    except InvalidTimeError as refused:
        assert refused.code == "ambiguous_time"
        assert local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def test_a_time_years_off_is_refused_and_a_clock_slightly_ahead_is_not():
    now = parse_instant("2026-11-03T10:00:00Z")
    assert check_plausible(EARLIEST, now) == EARLIEST
    assert check_plausible(now + FUTURE_TOLERANCE, now) == now + FUTURE_TOLERANCE
    for instant in (EARLIEST - 1, now + FUTURE_TOLERANCE + 1, now * 1000, -1, 10**30):
        with pytest.raises(InvalidTimeError) as refused:
            check_plausible(instant, now)
        assert refused.value.code == "implausible_time"


@given(moments)
def test_days_and_months_follow_the_utc_calendar(moment):
    micros = to_micros(moment)
    assert date_of(day_of(micros)) == moment.date()
    assert day_number(moment.date()) == day_of(micros)
    assert month_of(micros) == moment.year * 100 + moment.month


@given(moments)
def test_an_instant_is_within_its_month_and_months_have_no_gaps(moment):
    month = month_of(to_micros(moment))
    assert month_start(month) <= to_micros(moment) < month_start(next_month(month))
    assert month_of(month_start(next_month(month)) - 1) == month
    assert first_date(month) + timedelta(days_in(month)) == first_date(next_month(month))
    assert parse_month(format_month(month)) == month


@pytest.mark.parametrize(("month", "days"), [(202402, 29), (202602, 28), (210002, 28), (202612, 31)])
def test_months_have_the_right_number_of_days(month, days):
    assert days_in(month) == days
    assert next_month(202612) == 202701
    assert first_date(202612) == date(2026, 12, 1)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "1969-12", "2026-1١"])
def test_an_invalid_month_is_refused(text):
    with pytest.raises(InvalidTimeError):
        parse_month(text)
