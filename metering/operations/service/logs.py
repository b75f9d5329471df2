"""Logging, configured once per process: one line per record on standard error, as text or JSON.

A line has the time (UTC), level, logger, request ID if there is one, and message. Text from outside can neither forge a line
nor send control characters to a terminal. Only the first line of an exception's text is logged: database drivers and validators
put rows, parameters and inputs on the following ones.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The ID of the request that is being served; empty outside of one."""

_INDENT = "    "
_MAX_EXCEPTION_TEXT = 500
_SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


class LogSettings(Struct, frozen=True):
    """``level`` None: the command's default. ``as_json``: one JSON object per line."""

    level: int | None = None
    as_json: bool = False


def configure_logging(settings: LogSettings, default_level: int) -> None:
    """Send all log records of this process to standard error; calling it again replaces what it set before.

    Other packages log warnings and errors only, at any level: their details can contain URLs and parameters. The server's lines
    count as ours; its access log is shown whenever it is turned on.
    """
    level = default_level if settings.level is None else settings.level
    root = logging.getLogger()
    handler = next((each for each in root.handlers if isinstance(each, StderrHandler)), None)
    if handler is None:
        handler = StderrHandler()
        root.addHandler(handler)
    handler.setFormatter(JsonLines() if settings.as_json else TextLines())
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("metering").setLevel(level)
    for name in _SERVER_LOGGERS:
        server = logging.getLogger(name)
        server.setLevel(logging.INFO if name == "uvicorn.access" else level)
        if server.handlers:  # of the server's own configuration, when it was not started by ``serve``
            server.handlers.clear()
            server.propagate = True


class StderrHandler(logging.Handler):
    """Writes each record to what ``sys.stderr`` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if sys.stderr is None:
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)


class TextLines(logging.Formatter):
    """``2026-11-03T10:15:00.123Z WARNING metering.web.guards [request ID] message``; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        request = request_id.get()
        shown = f" [{request}]" if request else ""
        line = f"{_time(record)} {record.levelname} {record.name}{shown} {escape_controls(record.getMessage())}"
        return "\n".join([line, *(f"{_INDENT}{escape_controls(each)}" for each in _exception(record))])


class JsonLines(logging.Formatter):
    """One JSON object per record: ``time``, ``level``, ``logger``, ``message``, and where there are any ``request_id`` and
    ``exception``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        content: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            content["request_id"] = request
        if lines := list(_exception(record)):
            content["exception"] = lines
        return json.dumps(content)


def escape_controls(text: str) -> str:
    """Return the text on one line, with everything that cannot be printed as an escape: ``\\n``, ``\\x1b``, ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _time(record: logging.LogRecord) -> str:
    return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z"


def _exception(record: logging.LogRecord) -> Iterator[str]:
    if record.exc_info and record.exc_info[1] is not None:
        yield from _lines_of(record.exc_info[1])


def _lines_of(error: BaseException, shown: frozenset[int] = frozenset()) -> Iterator[str]:
    """Yield an exception's traceback and the first line of its text, after those of its cause; none that is ``shown`` (ids)."""
    shown |= {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in shown:
        yield from _lines_of(cause, shown)
        yield "which led to:"
    for frame in traceback.format_tb(error.__traceback__):
        yield from frame.rstrip().split("\n")
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _lines_of(inner, shown)
    first, *_ = str(error).split("\n", 1)
    yield f"{type(error).__qualname__}: {first[:_MAX_EXCEPTION_TEXT]}" if first else type(error).__qualname__
