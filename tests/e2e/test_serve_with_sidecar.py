"""``metering serve --sidecar``: one command serves the API and passes requests on, and both end together."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from metering.operations.accounts.manage_accounts import declare_account
from metering.storage.engine.database import open_database
from support.builders import NOW
from support.canned_answers import canned
from support.running_sidecar import stored_events
from support.serving_process import Serving, free_port, until
from support.started_process import PATIENCE
from support.upstream_server import UpstreamServer


class Both(Serving):
    """A server with a sidecar, which accounts to ``acme``."""

    def __init__(self, url, folder, upstream, *options):
        self.url = url
        self.sidecar_port = free_port()
        self.sidecar_address = f"http://127.0.0.1:{self.sidecar_port}"
        with_sidecar = ["--sidecar", "--sidecar-port", str(self.sidecar_port), "--sidecar-upstream", upstream]
        super().__init__(
            url,
            folder,
            *with_sidecar,
            "--sidecar-account",
            "acme",
            *options,
            METERING_SIDECAR_JOURNAL=str(folder / "journal"),
            METERING_SIDECAR_IS_ROUTER="yes",
        )

    def passes(self) -> bool:
        """Whether the sidecar answers."""
        try:
            return httpx.get(f"{self.sidecar_address}/-/healthz", timeout=PATIENCE, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, project: str) -> httpx.Response:
        headers = {"x-metering-project": project, "authorization": "Bearer hf_abcdefghijklmnop"}
        body = {"model": "meta-llama/Llama-3.3-70B-Instruct", "messages": [{"role": "user", "content": "Hello"}]}
        path = f"{self.sidecar_address}/v1/chat/completions"
        return httpx.post(path, json=body, headers=headers, timeout=PATIENCE, trust_env=False)

    def sidecar_pid(self) -> int:
        """Return the process that passes requests on; 0 if there is none."""
        children = _children(self.process.pid)
        return next((pid for pid in children if b"\0metering.sidecar\0" in _command(pid)), 0)

    def projects(self) -> set[str]:
        return {each.project for each in stored_events(self.url)}


def _children(pid):
    """Return the children of a process, whichever of its threads started them."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def upstream():
    with UpstreamServer(canned) as server:
        yield server


@pytest.fixture
def database(sqlite_databases):
    url = sqlite_databases.new()
    engine = open_database(url)
    declare_account(engine, "acme", now=NOW)
    engine.dispose()
    return url


@pytest.fixture
def both(database, tmp_path, upstream):
    server = Both(database, tmp_path, upstream.url)
    try:
        server.wait_until_it_serves()
        until(server.passes, "the sidecar did not start")
        yield server
    finally:
        server.clear_away()
        until(lambda: not server.passes(), "the sidecar did not end")


def test_requests_through_the_sidecar_are_in_the_database_that_the_api_serves(both, upstream):
    assert both.ask("search").status_code == 200
    (asked,) = upstream.received
    assert asked.header("authorization") == "Bearer hf_abcdefghijklmnop"
    until(lambda: both.projects() == {"search"})


def test_what_was_answered_before_the_end_is_stored_and_both_have_ended(both):
    assert both.ask("last").status_code == 200
    pid = both.sidecar_pid()
    assert pid
    both.stop()
    assert not both.passes()
    assert _command(pid) == b""
    assert both.projects() == {"last"}


def test_a_sidecar_that_was_killed_is_started_again_and_its_journal_is_stored(both):
    assert both.ask("before").status_code == 200
    first = both.sidecar_pid()
    os.kill(first, signal.SIGKILL)
    until(lambda: both.sidecar_pid() not in (0, first))
    until(both.passes)
    assert both.ask("after").status_code == 200
    until(lambda: both.projects() == {"before", "after"})
    assert httpx.get(f"{both.address}/readyz", timeout=PATIENCE, trust_env=False).status_code == 200
    assert "the sidecar ended with -9; starting it again" in both.log.read_text()


def test_the_sidecar_ends_with_a_server_that_was_killed(both):
    pid = both.sidecar_pid()
    assert both.ask("last").status_code == 200
    both.kill()
    until(lambda: _command(pid) == b"")
    until(lambda: both.projects() == {"last"})


def test_a_port_of_the_sidecar_that_is_taken_is_named_before_anything_starts(database, tmp_path, upstream):
    server = Both(database, tmp_path, upstream.url)
    server.clear_away()
    taken = Both(database, tmp_path, upstream.url, "--sidecar-port", str(upstream.port))
    try:
        assert taken.process.wait(PATIENCE) == 1
        assert f"127.0.0.1:{upstream.port} is used by another process; stop it, or choose another --sidecar-port" in (
            taken.log.read_text()
        )
    finally:
        taken.clear_away()
