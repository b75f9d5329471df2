"""Several servers on one PostgreSQL: all ingest, one runs the scheduled jobs, and a dead one costs nothing."""

import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.storage.tables import alerts, events, price_syncs
from support.loopback_source import models, source
from support.places import TESTS
from support.serving_process import Serving, until

pytestmark = pytest.mark.only_on("postgresql")

TICKING = (str(TESTS / "support" / "serve_ticking.py"),)
REQUESTS = 600
CLIENTS = 8


def native(number):
    """A request of 100 tokens in and 10 out of ``llama``: 120,000 nano-USD."""
    return {
        "id": f"r{number}", "time": "2026-11-03T12:00:00Z", "account": "acme", "provider": "together", "model": "llama",
        "route": "routed", "status": 200, "project": f"p{number % 7}", "usage": {"input_tokens": 100, "output_tokens": 10},
        "response_id": f"response-{number:020d}",
    }  # fmt: skip


@pytest.fixture
def token(meter):
    return create_key(meter.engine, NewKey("gateway", ["ingest"]), now=meter.now)[1]


@pytest.fixture
def serve(meter, tmp_path):
    """A function that starts a server on the database; it is stopped after the test."""
    started = []

    def start(*options, **how):
        started.append(Serving(meter.url, tmp_path, *options, **how))
        return started[-1]

    yield start
    for server in started:
        server.clear_away()


class Clients:
    """Send every request, each client in its own order; if a server is gone, they use another one."""

    def __init__(self, servers, token, seen):
        self._servers = servers
        self._headers = {"authorization": f"Bearer {token}"}
        self._seen = seen
        self._lock = threading.Lock()
        self.acknowledged: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(CLIENTS)]

    def run(self):
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()

    def _send(self, client):
        numbers = list(range(REQUESTS))
        random.Random(client).shuffle(numbers)
        turned = client
        with httpx.Client(headers=self._headers, timeout=30, verify=False) as http:
            for start in range(0, REQUESTS, 5):
                sent = numbers[start : start + 5]
                while True:
                    try:
                        body = [native(number) for number in sent]
                        answer = http.post(f"{self._servers[turned % len(self._servers)].address}/v1/events", json=body)
                        break
                    except httpx.TransportError:
                        turned += 1
                assert answer.status_code == 200, answer.text
                result = answer.json()
                with self._lock:
                    self.acknowledged.update(sent)
                    self.outcomes.update(
                        {name: result[name] for name in ("accepted", "duplicate", "copy", "conflict", "rejected")}
                    )
                    done = sum(self.acknowledged.values())
                self._seen(done)


def test_after_a_leader_is_killed_nothing_is_lost_and_another_leads(meter, serve, token):
    with source(models(("new-model", "together", 1, 2))) as router:
        environment = {
            "METERING_ROUTER_URL": router.url,
            "METERING_SYNC_INTERVAL_MINUTES": "60",
            "METERING_SYNC_MAX_CHANGED_PERCENT": "100",
            "METERING_SYNC_MAX_VANISHED_PERCENT": "100",
        }
        servers = [serve(program=TICKING, **environment) for _ in range(2)]
        for server in servers:
            server.wait_until_it_serves()
        until(lambda: sum(server.is_leader() for server in servers) == 1, "not one of them leads")
        until(lambda: meter.count(price_syncs), "nothing was synced")
        leader, other = sorted(servers, key=lambda server: not server.is_leader())
        killed = threading.Event()

        def kill_half_way(done):
            if done >= REQUESTS * CLIENTS // 2 and not killed.is_set():
                killed.set()
                leader.kill()

        clients = Clients(servers, token, kill_half_way)
        clients.run()
        assert killed.is_set()
        until(other.is_leader, "no other server took over")
        ticks = other.metrics()["metering_job_runs_total", ("job", "price sync"), ("outcome", "done")]
        until(lambda: other.metrics()["metering_job_runs_total", ("job", "price sync"), ("outcome", "done")] > ticks)
    stored = {row.external_id for row in meter.rows(select(events.c.external_id))}
    assert set(clients.acknowledged) == set(range(REQUESTS))
    assert stored == {f"r{number}" for number in range(REQUESTS)}
    assert meter.count(events) == REQUESTS
    assert meter.total() == REQUESTS * 120_000
    # A request that the killed server stored but could not answer is a duplicate when it is sent again.
    assert clients.outcomes["accepted"] <= REQUESTS
    assert clients.outcomes["copy"] + clients.outcomes["conflict"] + clients.outcomes["rejected"] == 0
    assert [row.outcome for row in meter.rows(select(price_syncs))] == ["recorded"]
    assert meter.count(alerts) == 1
    assert len(router.requests) == 1
    assert not meter.violations()


def test_workers_share_a_port_and_counters_and_a_dead_worker_is_replaced(meter, serve, token, tmp_path):
    server = serve("--workers", "2").wait_until_it_serves()
    until(lambda: len(server.workers()) == 2)
    doomed, stays = server.workers()
    assert list(tmp_path.glob("metering-metrics-*"))
    killed = threading.Event()

    def kill_one(done):
        if done >= REQUESTS * CLIENTS // 2 and not killed.is_set():
            killed.set()
            os.kill(doomed, signal.SIGKILL)

    clients = Clients([server], token, kill_one)
    clients.run()
    assert killed.is_set()
    stored = {row.external_id for row in meter.rows(select(events.c.external_id))}
    assert stored == {f"r{number}" for number in clients.acknowledged}
    assert (meter.count(events), meter.total()) == (REQUESTS, REQUESTS * 120_000)
    until(lambda: len(server.workers()) == 2 and doomed not in server.workers(), "it was not replaced")
    assert stays in server.workers()
    # Every worker reports the counts of all workers, including the dead one.
    sent = REQUESTS * CLIENTS
    for _ in range(10):
        metrics = server.metrics()
        counted = sum(value for (name, *_), value in metrics.items() if name == "metering_events_total")
        accepted = metrics["metering_events_total", ("outcome", "accepted")]
        # Events that the killed worker stored without counting are missing; events that were sent twice count twice.
        assert abs(counted - sent) <= 5 * CLIENTS
        assert REQUESTS - 5 * CLIENTS <= accepted <= REQUESTS
        assert metrics["metering_waiting_events",] == 0
    assert not meter.violations()


@pytest.mark.parametrize("ended", ["terminated", "killed"])
def test_when_a_server_ends_all_its_workers_end(meter, serve, tmp_path, ended):
    server = serve("--workers", "2").wait_until_it_serves()
    until(lambda: len(server.workers()) == 2)
    workers = server.workers()
    if ended == "terminated":
        assert server.stop() == 0
        assert not list(tmp_path.glob("metering-metrics-*"))
    else:
        server.kill()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), "a worker goes on")


def test_one_worker_of_a_server_is_the_leader(meter, serve):
    with source(models(("new-model", "together", 1, 2))) as router:
        environment = {"METERING_ROUTER_URL": router.url, "METERING_SYNC_INTERVAL_MINUTES": "60"}
        server = serve("--workers", "2", **environment).wait_until_it_serves()
        until(server.is_leader)
        until(lambda: meter.count(price_syncs))
        assert len(router.requests) == 1


def test_a_server_can_replace_its_workers_while_serving(meter, serve):
    server = serve("--workers", "2").wait_until_it_serves()
    before = set(until(lambda: len(found := server.workers()) == 2 and found))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.answers() and len(server.workers()) == 2 and not before & set(server.workers()), "not replaced")
    assert server.stop() == 0
    assert "GET /readyz" not in server.log.read_text()


def test_requests_are_logged_if_enabled(meter, serve):
    server = serve("--access-log").wait_until_it_serves()
    assert server.stop() == -signal.SIGTERM  # a normal exit, reported by its signal
    assert "GET /readyz" in server.log.read_text()
