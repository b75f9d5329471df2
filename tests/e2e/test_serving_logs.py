"""What ``metering serve`` logs: its own lines and the server's in one format, with several workers too."""

import json
import re

import httpx
import pytest

from support.serving_process import Serving, until

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) [a-z_.]+ ?(\[[^ ]+\])? .+")


@pytest.fixture
def serve(tmp_path):
    """A function that starts a server."""
    started = []

    def start(*arguments, **environment):
        started.append(Serving(*arguments, **environment))
        return started[-1].wait_until_it_serves()

    yield start
    for server in started:
        server.clear_away()


def test_every_line_is_json_and_a_request_s_line_has_its_id(serve, tmp_path):
    server = serve(f"sqlite:///{tmp_path}/m.db", tmp_path, "--access-log", METERING_LOG_FORMAT="json")
    httpx.get(f"{server.address}/v1/accounts?q=%1b%0a", headers={"x-request-id": "req-1"}, verify=False)
    server.stop()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {line["level"] for line in lines} == {"INFO"}
    (asked,) = (line for line in lines if line.get("request_id") == "req-1")
    assert asked["logger"] == "uvicorn.access"
    assert "/v1/accounts?q=%1b%0a" in asked["message"]
    assert any("Application startup complete" in line["message"] for line in lines)


@pytest.mark.only_on("postgresql")
def test_parent_and_workers_write_the_same_lines(serve, bare_meter, tmp_path):
    server = serve(bare_meter.url, tmp_path, "--workers", "2")
    until(lambda: len(re.findall("Application startup complete", server.log.read_text())) == 2)
    server.stop()
    lines = server.log.read_text().splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert any("Started parent process" in line for line in lines)
