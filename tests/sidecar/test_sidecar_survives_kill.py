"""Every request that was answered is in the database once, however the sidecar or the process that stores events was killed."""

import http.client
import json
import os
import random
import signal
import threading
from itertools import count

import pytest

from metering.operations.upkeep.verify import verify
from metering.storage.engine.database import open_database
from support.canned_answers import MODEL, chat
from support.raw_client import RawClient, request_bytes
from support.running_sidecar import RunningSidecar, stored_events
from support.serving_process import until
from support.upstream_server import json_answer

CLIENTS = 4
# A few rounds in each run of the tests; KILL_ROUNDS=20 for more.
ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))


class Load:
    """Clients that ask one request after the other until the sidecar is gone. ``answered`` has those with a complete answer."""

    def __init__(self):
        self.sent = set()
        self.answered = set()
        self._numbers = count()

    def begin(self, port):
        threads = [threading.Thread(target=self._ask, args=(port,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def wait_for(self, count):
        """Wait for so many more answers."""
        enough = len(self.answered) + count
        until(lambda: len(self.answered) >= enough)

    def _ask(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            while True:
                number = str(next(self._numbers))
                body = json.dumps({"model": MODEL, "messages": [], "stream": int(number) % 3 == 0})
                self.sent.add(number)
                connection.request("POST", "/v1/chat/completions", body, {"X-Metering-Tags": f"number={number}"})
                response = connection.getresponse()
                content = response.read()
                if response.status == 200 and content:
                    self.answered.add(number)
        except (OSError, http.client.HTTPException):
            connection.close()


def kill(sidecar, how):
    """Kill the sidecar alone, the process that stores events and then the sidecar, or both at once."""
    if how == 1:
        os.kill(until(sidecar.shipper), signal.SIGKILL)
    if how == 2:
        os.killpg(sidecar.process.pid, signal.SIGKILL)
    sidecar.kill()


def is_refused(port):
    try:
        with RawClient(port):
            return False
    except ConnectionRefusedError:
        return True


@pytest.mark.parametrize("sync", ["each", "group", "never"])
def test_what_was_answered_before_a_kill_is_stored_once(upstream, new_database, tmp_path, sync):
    url, load, chance = new_database(), Load(), random.Random(sync)
    for how in range(ROUNDS):
        with RunningSidecar(tmp_path, upstream.url, url, sync=sync) as sidecar:
            threads = load.begin(sidecar.port)
            load.wait_for(chance.randint(50, 250))
            kill(sidecar, how)
            for thread in threads:
                thread.join(30)
    with RunningSidecar(tmp_path, upstream.url, url, sync=sync) as sidecar:
        stored = [each.tags["number"] for each in sidecar.settled_events()]
    assert len(stored) == len(set(stored)), "nothing is stored twice"
    assert load.answered - set(stored) == set(), "nothing that was answered is lost"
    assert set(stored) - load.sent == set()
    assert len(load.answered) >= ROUNDS * 50
    assert not list((tmp_path / "journal").glob("*.damaged"))
    assert len({each.id for each in stored_events(url)}) == len(stored)
    engine = open_database(url)
    assert verify(engine) == []
    engine.dispose()


def test_a_process_that_stores_events_is_started_again(upstream, start_sidecar):
    sidecar = start_sidecar(upstream.url)
    first = until(sidecar.shipper)
    os.kill(first, signal.SIGKILL)
    with sidecar.client() as client:
        assert client.post("/v1/chat/completions", json={"model": MODEL, "messages": []}).status_code == 200
    until(lambda: sidecar.shipper() not in (0, first))
    assert len(sidecar.events(1)) == 1
    assert "ended with -9; starting it again" in sidecar.text


def test_a_sidecar_that_is_stopped_finishes_what_is_under_way(upstream, start_sidecar):
    """Requests under way are answered, new ones are not taken, and everything is stored before the process ends."""
    sidecar = start_sidecar(upstream.url)
    gate = threading.Event()
    upstream.script(json_answer(chat(), gate=(-1, gate)))
    with RawClient(sidecar.port) as client, RawClient(sidecar.port) as idle:
        client.send(request_bytes(body={"model": MODEL, "messages": []}))
        upstream.wait_for(1)
        sidecar.process.send_signal(signal.SIGTERM)
        assert idle.rest() == b"", "a connection without a request is closed"
        until(lambda: is_refused(sidecar.port))
        gate.set()
        response = client.response()
        assert (response.status, response.header("connection")) == (200, "close")
    assert len(sidecar.settled_events()) == 1
