"""Overload: the queue is bounded, further requests are refused with a retry time, and memory does not grow."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url, select

from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.storage.tables import events
from support.serving_process import Serving, until

pytestmark = pytest.mark.only_on("postgresql")

MAY_WAIT = 200
EVENTS_A_REQUEST = 50
REQUESTS = 400
CLIENTS = 16


def body(number):
    """Fifty events of about 2 KB each: all requests together are 40 MB."""
    return [
        {
            "id": f"r{number}-{each}", "time": "2026-11-03T12:00:00Z", "account": "acme", "provider": "together",
            "model": "llama", "route": "routed", "status": 200, "usage": {"input_tokens": 100, "output_tokens": 10},
            "tags": {f"tag-{tag}": "x" * 200 for tag in range(9)},
        }
        for each in range(EVENTS_A_REQUEST)
    ]  # fmt: skip


@pytest.fixture
def server(meter, tmp_path):
    serving = Serving(meter.url, tmp_path, METERING_MAX_WAITING_EVENTS=str(MAY_WAIT))
    yield serving.wait_until_it_serves()
    serving.clear_away()


@pytest.fixture
def stopped_database(meter):
    """Lock the database, so that no event is stored until this is called."""
    engine = create_engine(make_url(meter.url).set(drivername="postgresql+psycopg"))
    connection = engine.connect()
    connection.exec_driver_sql("LOCK TABLE event_identities IN ACCESS EXCLUSIVE MODE")
    yield connection.rollback
    connection.close()
    engine.dispose()


def resident_bytes(pid):
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def test_requests_over_the_queue_limit_are_refused_with_a_retry_time(meter, server, stopped_database):
    headers = {"authorization": f"Bearer {create_key(meter.engine, NewKey('k', ['ingest']), now=meter.now)[1]}"}
    answers: dict[int, httpx.Response] = {}
    lock = threading.Lock()

    def send(number):
        answer = httpx.post(f"{server.address}/v1/events", json=body(number), headers=headers, timeout=120, verify=False)
        with lock:
            answers[number] = answer

    with ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(MAY_WAIT // EVENTS_A_REQUEST):
            pool.submit(send, number)
        until(lambda: server.metrics()["metering_waiting_events",] == MAY_WAIT, "they do not wait")
        before = resident_bytes(server.process.pid)
        for number in range(MAY_WAIT // EVENTS_A_REQUEST, REQUESTS):
            pool.submit(send, number)
        until(lambda: len(answers) == REQUESTS - MAY_WAIT // EVENTS_A_REQUEST, "they are not refused")
        assert {(each.status_code, each.json()["code"], each.headers["retry-after"]) for each in answers.values()} == {
            (429, "too_busy", "1")
        }
        refused = set(answers)
        metrics = server.metrics()
        assert (metrics["metering_waiting_events",], metrics["metering_refused_requests_total",]) == (MAY_WAIT, len(refused))
        assert httpx.get(f"{server.address}/healthz", verify=False).status_code == 200
        # A quarter of the bytes sent: none of them are kept, the growth is the allocator's.
        assert resident_bytes(server.process.pid) - before < 10_000_000
        stopped_database()
    taken = [answers[number] for number in range(REQUESTS) if number not in refused]
    assert [answer.json()["accepted"] for answer in taken] == [EVENTS_A_REQUEST] * len(taken)
    assert meter.count(events) == MAY_WAIT
    # Requests that are sent again are stored, once.
    for number in [*sorted(refused)[:4], 0]:
        send(number)
    stored = {row.external_id.partition("-")[0] for row in meter.rows(select(events.c.external_id))}
    assert meter.count(events) == MAY_WAIT + 4 * EVENTS_A_REQUEST
    assert len(stored) == MAY_WAIT // EVENTS_A_REQUEST + 4
    assert answers[0].json()["duplicate"] == EVENTS_A_REQUEST
    assert not meter.violations()
