"""Turns exceptions into problems. Every HTTP edge installs these handlers."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from metering.domain.errors import DomainError
from metering.web.problems import ApiProblem, FieldError, problem_response
from pricing.errors import PricingError

MAX_SHOWN_ERRORS = 20
MAX_SHOWN_PATH = 120

_log = logging.getLogger(__name__)

_EXPECTED = (ApiProblem, DomainError, PricingError, RequestValidationError, HTTPException, OperationalError, PoolTimeoutError)

# Raised by Starlette and FastAPI themselves, which know no problem codes.
_CODE_OF_STATUS = {
    400: "malformed_request",
    404: "unknown_route",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every expected exception with a problem."""
    for kind in _EXPECTED:
        app.add_exception_handler(kind, _on_error)


def problem_of(error: Exception, method: str) -> ApiProblem | None:
    """Return the problem for an exception, None for an unexpected one; ``method`` is the request's."""
    if isinstance(error, ApiProblem):
        return error
    if isinstance(error, DomainError | PricingError):
        return ApiProblem(error.code, str(error))
    if isinstance(error, RequestValidationError):
        return _invalid_request(error)
    if isinstance(error, HTTPException):
        return _http_exception(error, method)
    if isinstance(error, OperationalError | PoolTimeoutError):
        return _database_error(error)
    return None


async def _on_error(request: Request, error: Exception) -> Response:
    problem = problem_of(error, request.method)
    if problem is None:
        raise error
    return problem_response(problem, request.scope["path"])


def _invalid_request(error: RequestValidationError) -> ApiProblem:
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return ApiProblem("not_json", "the body is not valid JSON")
    errors = _field_errors(found)
    names = ", ".join(each.field for each in errors)
    return ApiProblem("invalid_request", f"invalid: {names}", errors=errors)


def _http_exception(error: HTTPException, method: str) -> ApiProblem:
    code = _CODE_OF_STATUS.get(error.status_code, "internal_error")
    detail = {
        "unknown_route": "no such path; /openapi.json lists all paths",
        "method_not_allowed": f"{method[:20]} is not supported at this path",
    }.get(code, str(error.detail))
    return ApiProblem(code, detail, headers=error.headers)


def _database_error(error: OperationalError | PoolTimeoutError) -> ApiProblem:
    # The text of a database error repeats the statement's parameters, which come from outside.
    cause = getattr(error, "orig", None)
    _log.error("the database does not respond: %s", type(error if cause is None else cause).__name__)
    detail = "the database does not respond; nothing of this request was stored, send it again"
    return ApiProblem("unavailable", detail, headers={"retry-after": "5"})


def _field_errors(found: Sequence[Any]) -> list[FieldError]:
    """Return the errors by field, without the values that were sent."""
    errors = []
    for each in found[:MAX_SHOWN_ERRORS]:
        path = ".".join(str(part) for part in each["loc"])
        errors.append(FieldError(path[:MAX_SHOWN_PATH], each["type"], each["msg"]))
    return errors
