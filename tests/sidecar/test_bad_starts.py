"""A sidecar that cannot start says in one line why, and ends with a code."""

import socket
import subprocess
import sys

import msgspec
import pytest

from metering.operations.service.sidecar_settings import SidecarSettings, SidecarStart
from metering.sidecar.journal import JournalWriter
from support.places import environment_of_programs
from support.serving_process import free_port

UPSTREAM = "http://127.0.0.1:9"


def start(journal, upstream=UPSTREAM, port=0):
    """Run what the command runs in place of itself; return (exit code, stderr)."""
    settings = SidecarSettings(journal=str(journal))
    wanted = SidecarStart("127.0.0.1", port, upstream, "", "", "sidecar", settings)
    done = subprocess.run(
        [sys.executable, "-m", "metering.sidecar", msgspec.json.encode(wanted).decode()], env=environment_of_programs(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("upstream", "reason"),
    [
        ("https://router.huggingface.co/v1", "must end after the host; paths such as '/v1' come from the application"),
        ("https://me:hf_secret@router.huggingface.co", "contains credentials"),
    ],
)
def test_an_upstream_with_more_than_a_host_is_refused(tmp_path, upstream, reason):
    code, error = start(tmp_path / "journal", upstream)
    assert code == 2
    (line,) = error.splitlines()
    assert line.startswith("error[invalid_upstream]: the upstream ")
    assert reason in line
    assert "hf_secret" not in line


def test_a_journal_that_is_in_use_is_refused(tmp_path):
    writer = JournalWriter(tmp_path / "journal", 1_000_000)
    code, error = start(tmp_path / "journal")
    writer.close()
    line = f"error[journal_unusable]: the journal's folder {tmp_path / 'journal'} is used by another sidecar;"
    assert (code, error) == (2, f"{line} stop that one, or set METERING_SIDECAR_JOURNAL\n")


def test_a_journal_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "journal").write_text("a file")
    code, error = start(tmp_path / "journal")
    assert (code, len(error.splitlines())) == (2, 1)
    assert error.startswith("error[journal_unusable]: ")


def test_a_port_that_is_taken_by_then_is_reported(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = start(tmp_path / "journal", port=port)
    assert code == 1
    (line,) = error.splitlines()
    assert line.startswith(f"error[address_unusable]: 127.0.0.1:{port}: ")
    assert "address already in use" in line


@pytest.fixture
def command_line(new_command_line, tmp_path):
    return new_command_line(tmp_path / "line")


def test_the_command_checks_what_it_can_before_it_starts(command_line):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command_line.run("sidecar", "--port", port)
    assert (command_line.code, command_line.errors.splitlines()) == (
        1, [f"error[address_in_use]: 127.0.0.1:{port} is used by another process; stop it, or choose another --port"],
    )  # fmt: skip
    free = str(free_port())
    command_line.run("sidecar", "--port", free, "--service", "http://127.0.0.1:1")
    assert command_line.code == 2
    assert "--service needs METERING_SIDECAR_SERVICE_KEY" in command_line.errors
    command_line.run("sidecar", "--port", free, "--account", "acmee")
    assert command_line.code != 0
    assert "acmee" in command_line.errors
    command_line.environment["METERING_SIDECAR_SYNC"] = "sometimes"
    command_line.run("sidecar", "--port", free)
    assert command_line.code != 0
    assert "METERING_SIDECAR_SYNC must be" in command_line.errors
