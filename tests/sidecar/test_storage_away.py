"""While nothing can be stored requests flow, and what they used is stored once, as soon as it can be."""

import contextlib
import resource
import socket
import sqlite3
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import make_url

from metering.domain.usage.events import QuantityGrade
from metering.operations.accounts.manage_accounts import declare_account
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.sidecar.journal import segments
from metering.storage.engine.database import open_database
from support.builders import NOW
from support.canned_answers import CHAT_QUANTITIES, MODEL, chat, responses
from support.running_sidecar import stored_events
from support.serving_process import Serving, free_port, until
from support.upstream_server import Answer, json_answer

PATH = "/v1/chat/completions"
BODY = {"model": f"{MODEL}:together", "messages": []}


def ask(sidecar, count=1, path=PATH, **headers):
    with sidecar.client(headers=headers) as client:
        return [client.post(path, json=BODY).status_code for _ in range(count)]


def test_a_locked_database_file_delays_what_is_stored(start_sidecar, upstream):
    sidecar = start_sidecar(upstream.url)
    path = sidecar.url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert ask(sidecar, 3) == [200] * 3
        until(sidecar.journal_bytes)
        connection.execute("ROLLBACK")
    events = sidecar.events(3)
    assert [each.quantities for each in events] == [CHAT_QUANTITIES] * 3


class Relay:
    """Leads from a port to the server's socket while it is open: a server that is away and comes back."""

    def __init__(self, target):
        self.port = free_port()
        self._target = target
        self._open = []

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def postgres(postgres_databases):
    """(URL of a database with the account acme, relay to its server, URL through the relay)."""
    url = postgres_databases.new()
    parts = urlsplit(url.replace("postgresql", "http", 1))
    folder = parse_qs(parts.query).get("host", [""])[0]
    if not folder:
        pytest.skip("the server has no socket in a folder")
    engine = open_database(url)
    declare_account(engine, "acme", now=NOW)
    engine.dispose()
    address = make_url(url)
    relay = Relay(f"{folder}/.s.PGSQL.{address.port or 5432}")
    through = address.set(host="127.0.0.1", port=relay.port, query={}).render_as_string(hide_password=False)
    yield url, relay, through
    postgres_databases.drop(url)


def test_a_server_that_is_away_at_the_start_and_goes_away_again_costs_nothing(start_sidecar, upstream, postgres):
    url, relay, through = postgres
    sidecar = start_sidecar(upstream.url, "--account", "acme", url=through)
    assert "warning: " in sidecar.text
    assert "events wait in the journal" in sidecar.text
    assert ask(sidecar, 2) == [200] * 2
    relay.open()
    until(lambda: len(stored_events(url)) == 2)
    relay.close()
    assert ask(sidecar, 2) == [200] * 2
    until(lambda: "events cannot be stored now" in sidecar.text)
    relay.open()
    until(lambda: len(stored_events(url)) == 4)
    relay.close()


@pytest.fixture(scope="module")
def api(new_database, tmp_path_factory):
    """A function that starts `metering serve` unless it runs, the URL of its database, a key for it, and its address."""
    url, port = new_database(), free_port()
    servers: list[Serving] = []
    engine = open_database(url)
    token = create_key(engine, NewKey("sidecar", ["ingest"], None), now=NOW)[1]
    engine.dispose()

    def start():
        if not servers:
            servers.append(Serving(url, tmp_path_factory.mktemp("serving"), "--port", str(port)))
            servers[0].address = f"http://127.0.0.1:{port}"
            servers[0].wait_until_it_serves()

    yield start, url, token, f"http://127.0.0.1:{port}"
    for server in servers:
        server.clear_away()


REPORTED = {"prompt_tokens": 3, "completion_tokens": 4, "estimated_cost": 0.001}
ANSWERS = [
    json_answer(
        chat(usage=REPORTED),
        headers=(("inference-id", "0-019ff423"),),
    ),
    json_answer(responses(status="failed", error={"code": "server_error", "message": "x"}, usage=None)),
    Answer((b"not JSON",)),
    json_answer({"error": "no credits"}, 402),
]
SAME = (
    "id", "source", "provider", "model", "response_model", "operation", "route", "project", "key", "status", "failure",
    "quantities", "quantity_grade", "estimate_reason", "price_grade", "charge_nano", "billable", "response_id", "inference_id",
    "reported_cost_nano",
)  # fmt: skip


def test_events_of_a_service_that_was_away_are_those_of_a_database(start_sidecar, upstream, api, project):
    start, url, token, address = api
    environment = {"service_key": token, "is_router": "yes"}
    remote = start_sidecar(upstream.url, "--service", address, "--account", "acme", url="", **environment)
    labels = {
        "X-Metering-Project": project,
        "X-Metering-User": "u",
        "X-Metering-Tags": "team=a",
        "Authorization": "Bearer hf_" + "k" * 20,
    }
    upstream.script(*ANSWERS)
    assert ask(remote, 4, **labels) == [200, 200, 200, 402]
    until(lambda: "events cannot be stored now" in remote.text)
    start()
    until(lambda: len(stored_events(url)) == 4)
    measured, failed, estimated, refused = stored = stored_events(url)
    assert (measured.quantities.output_tokens, measured.reported_cost_nano, measured.inference_id) == (
        4,
        1_000_000,
        "0-019ff423",
    )
    assert measured.tags == {"user": "u", "team": "a"}
    assert (failed.status, failed.failure, failed.charge_nano) == (200, "server_error", 0)
    assert (estimated.quantity_grade, estimated.estimate_reason) == (QuantityGrade.ESTIMATED, "estimated_from_bytes")
    assert (refused.status, refused.charge_nano) == (402, 0)

    local = start_sidecar(upstream.url)
    upstream.script(*ANSWERS)
    ask(local, 4, **labels)
    for ours, theirs in zip(local.events(4), stored, strict=True):
        different = {name for name in SAME if getattr(ours, name) != getattr(theirs, name)}
        assert different == {"id", "key"}, "each sidecar has its own IDs, and its own salt"
        assert (ours.tags, ours.latency_ms is None) == (theirs.tags, theirs.latency_ms is None)


def test_a_key_that_may_not_ingest_loses_nothing(start_sidecar, upstream, api):
    start, url, _, address = api
    start()
    before = stored_events(url)
    sidecar = start_sidecar(upstream.url, "--service", address, url="", service_key="mk_wrong")
    assert ask(sidecar) == [200]
    until(lambda: "events cannot be stored now" in sidecar.text)
    assert "401" in sidecar.text
    assert "mk_wrong" not in sidecar.text
    assert len(segments(sidecar.journal)) == 1
    assert stored_events(url) == before


@pytest.mark.parametrize(("when_full", "status"), [("forward", 200), ("refuse", 503)])
def test_a_full_journal_forwards_unmetered_or_refuses(start_sidecar, upstream, when_full, status):
    sidecar = start_sidecar(
        upstream.url, "--service", f"http://127.0.0.1:{free_port()}", "--account", "acme", url="", service_key="k",
        journal_bytes="1000000", when_full=when_full,
    )  # fmt: skip
    model = {"model": "m" * 255, "messages": []}
    with sidecar.client(headers={"X-Metering-Tags": ",".join(f"t{number}={'v' * 255}" for number in range(29))}) as client:
        statuses = [client.post(PATH, json=model).status_code for _ in range(140)]
        assert statuses[:90] == [200] * 90
        assert statuses[-1] == status
        ready = client.get("/-/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert client.get("/v1/models").status_code == 200, "what is not metered is passed on"
    metrics = sidecar.metrics()
    if when_full == "forward":
        assert metrics[("sidecar_dropped_events_total",)] > 0
    else:
        assert metrics[("sidecar_dropped_events_total",)] == 0
        assert metrics[("sidecar_refused_requests_total", ("code", "journal_full"))] == statuses.count(503)
    until(lambda: "events are not being stored" in sidecar.text)


def test_a_full_disk_is_reported_and_passes(start_sidecar, upstream, tmp_path, new_database):
    """A file that is not allowed to grow stands for a full disk: the write fails in the same place."""
    sidecar = start_sidecar(upstream.url, folder=tmp_path, sync="never")
    assert ask(sidecar) == [200]
    _, most = resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, (700, most))
    assert ask(sidecar, 3) == [200] * 3
    until(lambda: "the journal cannot be written" in sidecar.text)
    with sidecar.client() as client:
        state = client.get("/-/readyz").json()
    assert (state["ready"], state["dropped_events"] >= 1) == (False, True)
    resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, (most, most))
    with sidecar.client() as client:
        until(lambda: client.get("/-/readyz").json()["ready"])
    assert ask(sidecar, 2) == [200] * 2
    assert len(sidecar.settled_events()) == 6 - state["dropped_events"]
