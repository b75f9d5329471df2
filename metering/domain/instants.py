"""Time in UTC: instants are integer microseconds since 1970, days are integers since 1970, months are ``YYYYMM``.

Digits past microseconds are truncated, never rounded: ``23:59:59.9999999`` does not become the next month. A time without a
zone is rejected unless the user names a zone.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from metering.domain.errors import InvalidTimeError

MICROS_PER_SECOND = 1_000_000
MICROS_PER_HOUR = 3_600 * MICROS_PER_SECOND
MICROS_PER_DAY = 24 * MICROS_PER_HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

# The metered services had no requests before 2020. Clocks run ahead by minutes, not by days.
EARLIEST = 1_577_836_800 * MICROS_PER_SECOND
FUTURE_TOLERANCE = MICROS_PER_DAY


def to_micros(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * MICROS_PER_SECOND + delta.microseconds


def to_datetime(micros: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=micros)


def parse_instant(text: str, zone: tzinfo | None = None) -> int:
    """Read an ISO 8601 / RFC 3339 time as microseconds.

    ``zone`` is for times without one. Raises InvalidTimeError, also for a time that the zone has twice or never, because its
    clocks are set back or forward.
    """
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise InvalidTimeError(f"{text[:40]!r} is not a time such as 2026-11-03T10:15:00Z") from None
    if moment.tzinfo is None:
        if zone is None:
            raise InvalidTimeError(
                f"{text[:40]!r} has no time zone; add one (2026-11-03T10:15:00Z) or name the log's zone", "naive_time"
            )
        moment = _in_zone(moment, zone)
    try:
        return to_micros(moment)
    except OverflowError:
        raise InvalidTimeError(f"{text[:40]!r} is out of range") from None


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    if before == after or before is None or after is None:
        return first
    shown = moment.isoformat()
    if before < after:
        raise InvalidTimeError(f"{shown} does not exist in {zone}: its clocks were set forward over this hour; check the zone")
    raise InvalidTimeError(
        f"{shown} occurs twice in {zone}, at {_offset(first)} and at {_offset(second)}, because its clocks were set back:"
        " write the offset from UTC",
        "ambiguous_time",
    )


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-6:]


def check_plausible(micros: int, now: int) -> int:
    """Return ``micros`` if it is a plausible event time. Raises InvalidTimeError."""
    if EARLIEST <= micros <= now + FUTURE_TOLERANCE:
        return micros
    shown = format_instant(micros) if abs(micros) < 8 * 10**15 else f"{micros} microseconds"
    where = "before 2020" if micros < EARLIEST else "in the future"
    raise InvalidTimeError(f"{shown} is {where}; check the unit (seconds, milliseconds) and the year", "implausible_time")


def format_instant(micros: int) -> str:
    """Write an instant as RFC 3339 with microseconds and ``Z``."""
    return to_datetime(micros).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day_of(micros: int) -> int:
    """Return the UTC day of an instant, as days since 1970."""
    return micros // MICROS_PER_DAY


def date_of(day: int) -> date:
    """Return a day number as a date."""
    return date.fromordinal(_EPOCH_ORDINAL + day)


def day_number(day: date) -> int:
    """Return a date as days since 1970."""
    return day.toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=8192)
def month_of_day(day: int) -> int:
    """Return the month (``YYYYMM``) of a day number."""
    moment = date_of(day)
    return moment.year * 100 + moment.month


def month_of(micros: int) -> int:
    """Return the UTC calendar month (``YYYYMM``) of an instant."""
    return month_of_day(micros // MICROS_PER_DAY)


def next_month(month: int) -> int:
    """Return the month after ``month``."""
    return month + 1 if month % 100 < 12 else month + 89


def first_date(month: int) -> date:
    """Return the first day of a month."""
    return date(month // 100, month % 100, 1)


def first_day(month: int) -> int:
    """Return the first day of a month, as days since 1970."""
    return day_number(first_date(month))


def days_in(month: int) -> int:
    """Return the number of days in a month."""
    return (first_date(next_month(month)) - first_date(month)).days


def month_start(month: int) -> int:
    """Return the instant at which a month starts."""
    return day_number(first_date(month)) * MICROS_PER_DAY


def parse_month(text: str) -> int:
    """Read ``YYYY-MM``. Raises InvalidTimeError."""
    year, dash, month = text.partition("-")
    if not (dash and len(year) == 4 and len(month) == 2 and text.isascii() and year.isdecimal() and month.isdecimal()):
        raise InvalidTimeError(f"{text[:20]!r} is not a month such as 2026-11")
    if not (1 <= int(month) <= 12 and int(year) >= 1970):
        raise InvalidTimeError(f"{text[:20]!r} is not a month such as 2026-11")
    return int(year) * 100 + int(month)


def format_month(month: int) -> str:
    """Write a month as ``YYYY-MM``."""
    return f"{month // 100:04d}-{month % 100:02d}"
