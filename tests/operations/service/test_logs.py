"""Log lines: one per record, with nothing from outside that could forge another or reach a terminal."""

import json
import logging
import re

import pytest
from sqlalchemy.exc import DBAPIError

from metering.operations.service.logs import JsonLines, LogSettings, StderrHandler, TextLines, configure_logging, request_id

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def served():
    """Serve the request ``req-1`` during a test."""
    token = request_id.set("req-1")
    yield
    request_id.reset(token)


def record(message="closed %s", *arguments, error=None, level=logging.INFO):
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("metering.runtime.close_job", level, __file__, 1, message, arguments, info)


def raised(error, cause=None):
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_a_text_line_has_time_level_logger_and_message():
    line = TextLines().format(record("closed %s", "2026-10"))
    assert re.fullmatch(rf"{TIME} INFO metering\.runtime\.close_job closed 2026-10", line)


def test_a_text_line_of_a_request_has_its_id(served):
    assert " [req-1] closed 2026-10" in TextLines().format(record("closed %s", "2026-10"))


def test_a_json_line_has_the_same_and_the_exception(served):
    line = JsonLines().format(record("closed %s", "2026-10", error=raised(ValueError("no such month")), level=logging.ERROR))
    content = json.loads(line)
    assert re.fullmatch(TIME, content.pop("time"))
    assert content.pop("exception")[-1] == "ValueError: no such month"
    assert content == {
        "level": "ERROR",
        "logger": "metering.runtime.close_job",
        "message": "closed 2026-10",
        "request_id": "req-1",
    }


@pytest.mark.parametrize("hostile", ["a\nb", "a\r\nb", "\x1b[31mred", "a\x00b", "a\u2028b", "\u202egpj.exe", "\x85", "\x7f"])
@pytest.mark.parametrize("lines", [TextLines(), JsonLines()], ids=["text", "json"])
def test_what_comes_from_outside_stays_on_its_line_and_is_printable(lines, hostile):
    line = lines.format(record("a name: %s", hostile))
    assert line.isprintable()
    if isinstance(lines, JsonLines):
        assert json.loads(line)["message"] == f"a name: {hostile}"


def test_a_traceback_is_indented_and_cannot_forge_a_line():
    forged = "x\n2026-11-03T10:15:00.123Z INFO metering forged"
    first, *others = TextLines().format(record("failed", error=raised(ValueError(forged)))).split("\n")
    assert first.endswith(" failed")
    assert others
    assert all(line.startswith("    ") for line in others)
    assert "forged" not in "".join(others)


def test_rows_and_parameters_after_the_first_line_of_an_exception_are_not_logged():
    driver = Exception('duplicate key value violates unique constraint "pk"\nDETAIL:  Key (token)=(hunter2) already exists.')
    error = raised(DBAPIError("INSERT INTO t", ("hunter2",), driver), driver)
    for lines in (TextLines(), JsonLines()):
        line = lines.format(record("failed", error=error))
        assert "duplicate key value violates" in line
        assert "hunter2" not in line


def test_an_exception_shows_its_cause_and_every_exception_of_a_group():
    group = ExceptionGroup("two failed", [ValueError("first"), KeyError("second")])
    lines = TextLines().format(record("failed", error=raised(group, raised(OSError("disk")))))
    positions = [lines.index(text) for text in ("OSError: disk", "which led to:", "ValueError: first", "KeyError: 'second'")]
    assert positions == sorted(positions)
    error = ValueError("its own cause")
    assert TextLines().format(record("failed", error=raised(error, error))).count("its own cause") == 1


@pytest.mark.parametrize(
    ("settings", "default", "shown"),
    [
        (LogSettings(), logging.WARNING, ["metering WARNING", "other WARNING"]),
        (LogSettings(), logging.INFO, ["metering INFO", "metering WARNING", "other WARNING"]),
        (LogSettings(logging.ERROR), logging.INFO, []),
        (LogSettings(logging.DEBUG), logging.INFO, ["metering DEBUG", "metering INFO", "metering WARNING", "other WARNING"]),
    ],
)
def test_other_packages_are_never_asked_for_more_than_warnings(capsys, settings, default, shown):
    configure_logging(settings, default)
    for name in ("metering", "other"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "%s %s", name, logging.getLevelName(level))
    assert [line.split(" ", 3)[3] for line in capsys.readouterr().err.splitlines()] == shown


def test_configuring_again_replaces_the_format_and_adds_no_handler(capsys):
    configure_logging(LogSettings(), logging.INFO)
    configure_logging(LogSettings(as_json=True), logging.INFO)
    logging.getLogger("metering").info("once")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "once"
    assert sum(isinstance(handler, StderrHandler) for handler in logging.getLogger().handlers) == 1


def test_the_server_s_lines_are_ours_and_its_access_log_stays_off_where_it_was_turned_off(capsys):
    server, access = logging.getLogger("uvicorn.error"), logging.getLogger("uvicorn.access")
    server.addHandler(logging.StreamHandler())
    server.propagate = access.propagate = False
    try:
        configure_logging(LogSettings(), logging.INFO)
        server.info("Started server process")
        access.info("GET /")
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(" INFO uvicorn.error Started server process")
    finally:
        server.propagate = access.propagate = True
