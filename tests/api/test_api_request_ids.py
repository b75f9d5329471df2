"""Every answer has an ``X-Request-Id``, and so has every line that is logged while its request is served."""

import logging
import re

import pytest

from metering.operations.service.logs import LogSettings, configure_logging
from support.native_events import native

OWN = re.compile(r"[0-9a-f]{16}")


@pytest.mark.parametrize("chosen", ["a", "req_01.2-B", "x" * 128])
def test_a_client_s_id_is_returned(api, chosen):
    client = api.client("read")
    assert client.get("/v1/accounts", headers={"x-request-id": chosen}).headers["x-request-id"] == chosen


@pytest.mark.parametrize("chosen", ["", "x" * 129, "a b", "a/b", "a\tb", "caf\xe9", 'a"b'])
def test_an_unsafe_id_is_replaced(api, chosen):
    answer = api.client("read").get("/v1/accounts", headers={"x-request-id": chosen.encode("latin-1")})
    assert OWN.fullmatch(answer.headers["x-request-id"])


def test_new_ids_differ(api):
    client = api.client("read")
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(5)}) == 5


def test_refusals_and_events_have_one_too(api):
    client = api.client("ingest")
    answers = [
        client.get("/nowhere"),
        client.get("/v1/accounts"),
        client.request("PUT", "/v1/events"),
        client.post("/v1/accounts", content=b"x" * 100_000, headers={"content-type": "application/json"}),
        client.post("/v1/events", json=native("a")),
        client.head("/healthz"),
    ]
    assert [answer.status_code for answer in answers] == [404, 403, 405, 413, 200, 200]
    assert all(OWN.fullmatch(answer.headers["x-request-id"]) for answer in answers)


def test_log_lines_of_a_request_have_its_id_in_threads_too(api, capsys):
    configure_logging(LogSettings(), logging.INFO)

    @api.app.get("/fails")
    def fails():  # in the thread pool
        logging.getLogger("metering.test").warning("about to fail")
        raise RuntimeError("it failed\nwith details")

    answer = api.client().get("/fails", headers={"x-request-id": "req-7"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "req-7")
    assert "X-Request-Id" in answer.json()["detail"]
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("    ")]
    assert [line.split(" ", 3)[1:] for line in lines] == [
        ["WARNING", "metering.test", "[req-7] about to fail"],
        ["ERROR", "metering.web.guards", "[req-7] unexpected error in GET /fails"],
    ]
