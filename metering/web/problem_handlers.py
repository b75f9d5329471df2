"""Which exception becomes which problem. Every edge that speaks HTTP installs these."""

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

# Raised by Starlette and FastAPI themselves, without a code of ours.
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
    app.add_exception_handler(ApiProblem, _on_problem)
    app.add_exception_handler(DomainError, _on_coded_error)
    app.add_exception_handler(PricingError, _on_coded_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(OperationalError, _on_database_error)
    app.add_exception_handler(PoolTimeoutError, _on_database_error)


def _answer(request: Request, problem: ApiProblem) -> Response:
    return problem_response(problem, request.scope["path"])


async def _on_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiProblem):
        raise error
    return _answer(request, error)


async def _on_coded_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, DomainError | PricingError):
        raise error
    return _answer(request, ApiProblem(error.code, str(error)))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return _answer(request, ApiProblem("not_json", "the body is not valid JSON"))
    errors = _field_errors(found)
    named = ", ".join(each.field for each in errors)
    return _answer(request, ApiProblem("invalid_request", f"not valid: {named}", errors=errors))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _CODE_OF_STATUS.get(error.status_code, "internal_error")
    detail = {
        "unknown_route": "there is nothing at this address; /openapi.json lists what there is",
        "method_not_allowed": f"{request.method[:20]} is not possible at this address",
    }.get(code, str(error.detail))
    return _answer(request, ApiProblem(code, detail, headers=error.headers))


async def _on_database_error(request: Request, error: Exception) -> Response:
    # The text of a database error repeats the statement's parameters, which are what somebody sent.
    cause = getattr(error, "orig", None)
    _log.error("the database does not answer: %s", type(error if cause is None else cause).__name__)
    detail = "the database does not answer; nothing of this request was stored, send it again"
    return _answer(request, ApiProblem("unavailable", detail, headers={"retry-after": "5"}))


def _field_errors(found: Sequence[Any]) -> list[FieldError]:
    """Return what is wrong with which field; never a value that was sent."""
    errors = []
    for each in found[:MAX_SHOWN_ERRORS]:
        path = ".".join(str(part) for part in each["loc"])
        errors.append(FieldError(path[:MAX_SHOWN_PATH], each["type"], each["msg"]))
    return errors
