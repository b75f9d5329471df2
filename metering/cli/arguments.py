"""What commands share: types of values, common options, and options collected into one frozen value."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from metering.domain.errors import InvalidTimeError
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR, parse_instant, parse_month, to_micros
from pricing.errors import InvalidAmountError
from pricing.money import NANO_PER_USD, parse_usd

T = TypeVar("T")
_Command = TypeVar("_Command", bound=Callable[..., Any])


class MonthType(click.ParamType[int]):
    """A calendar month, ``YYYY-MM``; the value is ``YYYYMM``."""

    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the month, or fail as bad usage."""
        if isinstance(value, int):
            return value
        try:
            return parse_month(value)
        except InvalidTimeError as error:
            self.fail(str(error), param, ctx)


class InstantType(click.ParamType[int]):
    """A time with its time zone, or a date for midnight UTC; the value is microseconds UTC."""

    name = "time|date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the instant, or fail as bad usage."""
        if isinstance(value, int):
            return value
        try:
            return _day_start(value)
        except ValueError:
            pass
        try:
            return parse_instant(value)
        except InvalidTimeError as error:
            self.fail(str(error), param, ctx)


class DurationType(click.ParamType[int]):
    """A number of hours, days or weeks, ``24h``, ``7d``, ``2w``; the value is microseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the duration, or fail as bad usage."""
        if isinstance(value, int):
            return value
        number, unit = value[:-1], _DURATIONS.get(value[-1:].lower())
        if unit is None or not (number.isascii() and number.isdecimal() and len(number) <= 4 and int(number)):
            self.fail(f"{value[:40]!r} is not a number of hours, days or weeks such as 24h, 7d or 2w", param, ctx)
        return int(number) * unit


class DayType(click.ParamType[date]):
    """A date, ``YYYY-MM-DD``."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the date, or fail as bad usage."""
        if isinstance(value, date):
            return value
        try:
            return _day(value)
        except ValueError:
            self.fail(f"{value[:40]!r} is not a date such as 2026-11-03", param, ctx)


class PercentType(click.ParamType[int]):
    """A whole percentage, ``80`` or ``80%``."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the percentage, or fail as bad usage."""
        if isinstance(value, int):
            return value
        text = value.strip().removesuffix("%").strip()
        try:
            return int(text) if text.isascii() else int("")
        except ValueError:
            self.fail(f"{value[:40]!r} is not a whole percentage such as 80 or 80%", param, ctx)


class UsdType(click.ParamType[int]):
    """A decimal amount of dollars, at most nine decimals; the value is nano-USD."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the amount, or fail as bad usage."""
        if isinstance(value, int):
            return value
        try:
            return parse_usd(value.removeprefix("$"), unit_per_usd=NANO_PER_USD)
        except InvalidAmountError as error:
            self.fail(str(error), param, ctx)


class ZoneType(click.ParamType[str]):
    """The name of an IANA time zone."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of an existing zone, or fail as bad usage."""
        try:
            return ZoneInfo(value).key
        except (KeyError, ValueError, OSError):
            self.fail(f"{value[:60]!r} is not a time zone; use an IANA name such as Europe/Berlin or UTC", param, ctx)


_DURATIONS = {"h": MICROS_PER_HOUR, "d": MICROS_PER_DAY, "w": 7 * MICROS_PER_DAY}

MONTH = MonthType()
DURATION = DurationType()
INSTANT = InstantType()
DAY = DayType()
USD = UsdType()
PERCENT = PercentType()
ZONE = ZoneType()

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def start_option(help_text: str, kind: click.ParamType[Any] = INSTANT, **attributes: Any) -> Callable[[_Command], _Command]:
    """Return the option for the start of a half-open period, with the same names on every command."""
    return click.option("--start", "--from", "start", type=kind, help=help_text, **attributes)


def end_option(help_text: str, kind: click.ParamType[Any] = INSTANT, **attributes: Any) -> Callable[[_Command], _Command]:
    """Return the option for the end of a half-open period, exclusive."""
    return click.option("--end", "--to", "end", type=kind, help=help_text, **attributes)


known_at_option = click.option(
    "--known-at", type=INSTANT, help="Leave out prices recorded after this instant. Default: leave out none."
)


def collected(into: Callable[..., T]) -> Callable[[Callable[[Any, T], None]], Callable[..., None]]:
    """Pass a command its options as one value, built by ``into``."""

    def decorate(command: Callable[[Any, T], None]) -> Callable[..., None]:
        @wraps(command)
        def run(obj: Any, **options: Any) -> None:
            command(obj, into(**options))

        return run

    return decorate


def separated(values: tuple[str, ...]) -> list[str]:
    """Return the items of an option that was repeated, or given separated by commas."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _day(text: str) -> date:
    if len(text) != len("2026-11-03"):
        raise ValueError
    return date.fromisoformat(text)


def _day_start(text: str) -> int:
    day = _day(text)
    return to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
