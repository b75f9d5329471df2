"""The sidecar's command says before it starts what it cannot do with --service."""

import os

KEY = "METERING_SIDECAR_SERVICE_KEY"


def test_budgets_cannot_refuse_requests_with_a_service(command_line):
    command_line.environment |= {KEY: "mk_1", "METERING_SIDECAR_WHEN_UNKNOWN": "closed"}
    command_line.run("sidecar", "--port", "0", "--service", "http://127.0.0.1:9")
    assert command_line.code == 2
    assert (
        "METERING_SIDECAR_WHEN_UNKNOWN is closed, but budgets cannot be read with --service, so every request would be refused;"
        " set it to open, or set METERING_DATABASE_URL and leave out --service"
    ) in " ".join(command_line.errors.split())


def test_it_is_said_that_budgets_do_not_block_with_a_service(command_line, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    command_line.environment |= {KEY: "mk_1"}
    command_line.run("sidecar", "--port", "0", "--service", "http://127.0.0.1:9")
    assert len(started) == 1
    assert (
        "budgets do not block requests with --service; leave it out and set METERING_DATABASE_URL if they should"
        in " ".join(command_line.errors.split())
    )
