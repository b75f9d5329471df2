"""``make run``: sample traffic, a server and a sidecar, and the lines to change in each client."""

import os
import re
import signal
import subprocess
import sys

import httpx
import pytest

from support.canned_answers import CHAT_QUANTITIES, canned
from support.places import ROOT
from support.running_sidecar import stored_events
from support.serving_process import free_port, until
from support.started_process import PATIENCE
from support.upstream_server import UpstreamServer


@pytest.fixture
def running(tmp_path):
    """The program with 50 events, its output's file, and the sidecar's address; its upstream is a local one."""
    port, sidecar_port = free_port(), free_port()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("METERING_")}
    settings = {"METERING_SYNC_INTERVAL_MINUTES": "0", "METERING_SIDECAR_IS_ROUTER": "yes", "PYTHONPATH": str(ROOT)}
    output = tmp_path / "output.txt"
    with UpstreamServer(canned) as upstream, output.open("wb") as file:
        ports = ["--port", str(port), "--sidecar-port", str(sidecar_port), "--upstream", upstream.url]
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "run.py"), "--data", str(tmp_path), "--events", "50", *ports],
            cwd=tmp_path,
            env={**ours, **settings},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            yield process, output, f"http://127.0.0.1:{sidecar_port}"
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def answer(address):
    try:
        return httpx.get(f"{address}/-/healthz", timeout=PATIENCE, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_it_shows_what_to_change_and_meters_what_changed(running, tmp_path):
    process, output, address = running
    until(lambda: answer(address), "the sidecar did not start")
    shown = output.read_text()
    for client in ("OpenAI SDK", "huggingface_hub", "Claude Code", "Codex", "OpenCode"):
        lines = re.search(rf"^  {client} .*\n(?:    .*\n|$)+", shown, re.MULTILINE)
        assert lines, client
        assert address in lines[0]
        assert "X-Metering-Project" in lines[0]
    body = {"model": "meta-llama/Llama-3.3-70B-Instruct", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": "Bearer hf_1", "x-metering-project": "mine"}
    response = httpx.post(f"{address}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE, trust_env=False)
    assert response.status_code == 200
    url = f"sqlite:///{tmp_path / 'metering.db'}"
    (event,) = until(lambda: stored_events(url, "acme", "mine"))
    assert event.quantities == CHAT_QUANTITIES
    assert (tmp_path / "sidecar-journal").is_dir()
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    until(lambda: not answer(address))
