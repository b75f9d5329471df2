"""Reading query parameters: instants, days, months, lists. Parameters that a route does not declare are refused."""

import re
from collections.abc import Iterator, Sequence
from datetime import date

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request

from metering.domain.errors import InvalidTimeError
from metering.domain.instants import (
    MICROS_PER_DAY,
    date_of,
    day_number,
    day_of,
    month_of,
    month_start,
    next_month,
    parse_instant,
    parse_month,
)
from metering.domain.statements.billing_months import check_month_in_range
from metering.domain.texts import NUL
from metering.web.problems import ApiProblem, FieldError

TAG = "tag:"

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LAST_DAY = day_number(date(9998, 12, 31))


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not declare, and a NUL in any. A dependency of every route.

    If one were ignored, the answer would be to a different question. ``tag:<name>`` is accepted where ``group_by`` is.
    """
    _refuse_nul(request)
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = list(dict.fromkeys(_declared(route.dependant)))
    tags = "group_by" in known
    for name in request.query_params:
        if name not in known and not (tags and name.startswith(TAG) and name != TAG):
            names = ", ".join([*known, *(["tag:<name>"] if tags else [])]) or "none"
            raise ApiProblem(
                "unknown_parameter",
                f"{name[:60]!r} is not a parameter of this route; its parameters: {names}",
                errors=[FieldError(f"query.{name[:60]}", "unknown_parameter", f"parameters: {names}")],
            )


def instant(name: str, text: str) -> int:
    """Read a parameter as an instant: RFC 3339 with a time zone, or a date for midnight UTC.

    Raises ApiProblem with the code of InvalidTimeError, naming the parameter.
    """
    day = _plain_date(text)
    try:
        micros = parse_instant(text) if day is None else day_number(day) * MICROS_PER_DAY
    except InvalidTimeError as error:
        raise _bad_time(name, str(error), error.code) from None
    if not 0 <= day_of(micros) <= _LAST_DAY:
        raise _bad_time(name, "the year must be from 1970 to 9998")
    return micros


def day(name: str, text: str) -> date:
    """Read a parameter as a date from 1970 to 9998, ``2026-11-16``. Raises ApiProblem ``invalid_time``."""
    found = _plain_date(text)
    if found is None:
        raise _bad_time(name, "a date is written as 2026-11-16")
    return date_of(instant(name, text) // MICROS_PER_DAY)


def month(name: str, text: str | None, now: int) -> int:
    """Read a parameter as a month ``2026-11`` (``YYYYMM``); None is the current one. Raises ApiProblem ``invalid_time``."""
    if text is None:
        return month_of(now)
    try:
        found = parse_month(text) if text.isascii() else 0
        check_month_in_range(found, now)
    except InvalidTimeError as error:
        raise _bad_time(name, str(error), error.code) from None
    return found


def period(start: str | None, end: str | None, now: int, *, month: str | None = None) -> tuple[int, int]:
    """Return the instants of a half-open period. Default: the start and end of the current UTC month, or of ``month``.

    Raises ApiProblem for an invalid instant, a period that does not end after its start, and a month with a start or end.
    """
    if month is not None:
        if start is not None or end is not None:
            detail = "month cannot be combined with start or end"
            raise ApiProblem("invalid_request", detail, errors=[FieldError("query.month", "invalid_request", detail)])
        named = _month("query.month", month, now)
        return month_start(named), month_start(next_month(named))
    current = month_of(now)
    first = month_start(current) if start is None else instant("query.start", start)
    last = month_start(next_month(current)) if end is None else instant("query.end", end)
    if last <= first:
        detail = "end must be after start; by default they are the start and end of the current month"
        raise ApiProblem("invalid_request", detail, errors=[FieldError("query.end", "invalid_request", detail)])
    return first, last


# Under this name where ``month`` is a parameter.
_month = month


def listed(values: Sequence[str] | None) -> tuple[str, ...]:
    """Return the items of a list that is given separated by commas, as a repeated parameter, or both."""
    return tuple(item.strip() for value in values or () for item in value.split(",") if item.strip())


def _refuse_nul(request: Request) -> None:
    """Refuse a NUL in the path or the query. Other control characters are allowed: a log may name a model with one."""
    if "%00" not in request.scope["query_string"].decode("latin-1") and NUL not in request.scope["path"]:
        return
    parameters = [("path", name, str(value)) for name, value in request.path_params.items()]
    parameters += [("query", name, value) for name, value in request.query_params.multi_items()]
    for where, name, value in parameters:
        if NUL in name or NUL in value:
            field = f"{where}.{name[:60]}".replace(NUL, "")
            detail = f"{field} contains a NUL character (%00), which cannot be stored; remove it"
            raise ApiProblem("invalid_request", detail, errors=[FieldError(field, "control_character", detail)])


def _declared(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for dependency in dependant.dependencies:
        yield from _declared(dependency)


def _plain_date(text: str) -> date | None:
    if _DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _bad_time(name: str, message: str, code: str = "invalid_time") -> ApiProblem:
    return ApiProblem(code, f"{name}: {message}", errors=[FieldError(name, code, message)])
