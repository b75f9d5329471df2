"""Read the time of a request from the spellings that logs use.

The event time is the stated start; otherwise the end minus the latency, marked as derived. Digits past microseconds are
truncated. A time without a zone is rejected unless the user named the log's zone.
"""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from metering.domain.errors import InvalidTimeError, RecordError
from metering.domain.instants import EARLIEST, FUTURE_TOLERANCE, MICROS_PER_SECOND, check_plausible, parse_instant, to_micros
from metering.formats.options import DecodeOptions

# The size of an epoch number shows its unit: 1e11 seconds is the year 5138, 1e11 milliseconds is 1973.
_MILLISECONDS_FROM = 10**11
_MICROSECONDS_FROM = 10**14
_NANOSECONDS_FROM = 10**17
_BEYOND = 10**20


class EventTimes:
    """Reads the times of one input. Stateful only for a replay, where the first settled time sets the shift."""

    def __init__(self, options: DecodeOptions) -> None:
        try:
            self._zone = ZoneInfo(options.zone) if options.zone else None
        except (KeyError, ValueError, OSError):  # not found, not a plain name, a directory of the zone database
            raise _unknown_zone(options.zone) from None
        self._now = options.now
        self._latest = options.now + FUTURE_TOLERANCE
        self._replay_from = options.replay_from
        self._shift: int | None = None

    def event_time(self, text: str) -> int:
        """Read and settle an ISO 8601 start: a fast version of ``settle(read_text(text))`` for the usual case."""
        try:
            micros = to_micros(datetime.fromisoformat(text))
        except (ValueError, TypeError, OverflowError):  # a naive time is a TypeError here
            micros = self.read_text(text)
        if self._replay_from is None and EARLIEST <= micros <= self._latest:
            return micros
        return self.settle(micros)

    def read_text(self, text: str, field: str = "time") -> int:
        """Read an ISO 8601 time as microseconds, before settling. Raises RecordError naive_time or invalid_time."""
        try:
            return parse_instant(text, self._zone)
        except InvalidTimeError as error:
            raise RecordError(error.code, f"{field}: {error}", field) from None

    def read(self, value: object, field: str = "time") -> int:
        """Read a time: ISO 8601, or an epoch number of seconds, milliseconds, micro- or nanoseconds, as text or number."""
        if isinstance(value, str):
            text = value.strip()
            number = text.replace(".", "", 1)
            if number.isascii() and number.isdecimal():
                return _from_epoch(Decimal(text), field)
            return self.read_text(text, field)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return _from_epoch(Decimal(value), field)
        raise RecordError("invalid_time", f"{field} must be a time such as 2026-11-03T10:15:00Z", field)

    def settle(self, micros: int, field: str = "time") -> int:
        """Return the event time: shifted if the input is a replay, and checked for plausibility.

        Call it last, when nothing else can make the record invalid, because the first call sets the shift. Raises RecordError
        implausible_time.
        """
        if self._replay_from is not None:
            if self._shift is None:
                self._shift = self._replay_from - micros
            micros += self._shift
        if EARLIEST <= micros <= self._latest:
            return micros
        try:
            return check_plausible(micros, self._now)
        except InvalidTimeError as error:
            raise RecordError(error.code, f"{field}: {error}", field) from None


def start_of(start: int | None, end: int | None, latency_micros: int | None) -> tuple[int | None, bool]:
    """Return (event time, derived); (None, False) if neither start nor end is stated."""
    if start is not None:
        return start, False
    if end is None:
        return None, False
    return end - (latency_micros or 0), True


def latency_micros(value: object, field: str = "latency_ms") -> int | None:
    """Read a duration in milliseconds, which may have a fraction, as whole microseconds; None if absent.

    Raises RecordError invalid_quantity for a value that is negative, not finite, not a number, or over eleven days.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        text = value.strip()
        plain = text.replace(".", "", 1)
        value = Decimal(text) if plain.isascii() and plain.isdecimal() and len(text) < 40 else None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        if number.is_finite() and 0 <= number <= 1_000_000_000:
            return int(number * 1000)
    raise RecordError("invalid_quantity", f"{field} must be a number of milliseconds from 0 to 1000000000", field)


def _from_epoch(number: Decimal, field: str) -> int:
    if not number.is_finite() or abs(number) >= _BEYOND:
        raise RecordError("invalid_time", f"{field} is not a time such as 2026-11-03T10:15:00Z or epoch seconds", field)
    size = abs(number)
    if size >= _NANOSECONDS_FROM:
        return int(number) // 1000
    if size >= _MICROSECONDS_FROM:
        return int(number)
    if size >= _MILLISECONDS_FROM:
        return int(number * 1000)
    return int(number * MICROS_PER_SECOND)


def _unknown_zone(name: str) -> InvalidTimeError:
    return InvalidTimeError(f"{name[:60]!r} is not a time zone; use an IANA name such as Europe/Berlin or UTC")
