"""One of all processes on a SQLite database leads, and another takes over when it ends, however it ends."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metering.runtime.leader import Leader
from support.places import ROOT, environment_of_programs
from support.presence import present

OTHER = Path(__file__).with_name("lead_until_killed.py")


@pytest.fixture
def start(tmp_path):
    """A function that starts another process on the database, and returns it and whether it leads."""
    started = []

    def run():
        process = subprocess.Popen(
            [sys.executable, str(OTHER), str(tmp_path / "m.db")],
            cwd=ROOT,
            env=environment_of_programs(),
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return process, present(process.stdout).readline() == b"True\n"

    yield run
    for process in started:
        process.kill()
        present(process.stdout).close()
        process.wait(10)


@pytest.fixture
def leader(tmp_path):
    leader = Leader(tmp_path / "m.db")
    yield leader
    leader.release()


def test_the_first_process_leads_and_a_second_does_not(leader, start):
    assert leader.is_leader()
    _, is_leader = start()
    assert not is_leader


def test_another_process_takes_over_when_the_leader_is_killed(leader, start):
    process, is_leader = start()
    assert is_leader
    assert not leader.is_leader()
    process.kill()
    process.wait(10)
    assert leader.is_leader()


def test_a_leader_stays_the_leader(leader):
    assert [leader.is_leader() for _ in range(3)] == [True] * 3


def test_releasing_removes_the_file_and_lets_another_process_lead(leader, start, tmp_path):
    assert leader.is_leader()
    leader.release()
    assert list(tmp_path.iterdir()) == []
    _, is_leader = start()
    assert is_leader
    assert not leader.is_leader()


def test_a_lock_on_a_removed_file_does_not_count(leader, tmp_path, monkeypatch):
    """Between opening and locking, the last holder may remove the file and a third process create it again."""
    third = Leader(tmp_path / "m.db")
    original = os.open
    opened: list[int] = []

    def open_late(path, *options):
        file = original(path, *options)
        if not opened:
            opened.append(file)
            path.unlink()
            assert third.is_leader()
        return file

    monkeypatch.setattr(os, "open", open_late)
    assert not leader.is_leader()
    third.release()


def test_releasing_without_leading_removes_nothing(leader, tmp_path):
    assert leader.is_leader()
    Leader(tmp_path / "m.db").release()
    assert (tmp_path / "m.db.leader").exists()


def test_two_databases_have_two_leaders(leader, tmp_path):
    other = Leader(tmp_path / "other.db")
    assert leader.is_leader()
    assert other.is_leader()
    other.release()


def test_a_process_that_cannot_create_the_file_warns_once_and_leads_when_it_can(tmp_path, caplog):
    folder = tmp_path / "away"
    leader = Leader(folder / "m.db")
    assert [leader.is_leader() for _ in range(3)] == [False] * 3
    (message,) = caplog.messages
    assert (
        message == f"cannot lock {folder / 'm.db.leader'} (No such file or directory): this process runs no jobs until it can"
    )
    folder.mkdir()
    assert leader.is_leader()
    leader.release()


def test_a_read_only_folder_has_no_leader(tmp_path, monkeypatch, caplog):
    def refuse(path, *_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    leader = Leader(tmp_path / "m.db")
    monkeypatch.setattr(os, "open", refuse)
    assert not leader.is_leader()
    assert "Read-only file system" in caplog.text
    leader.release()


def test_a_file_system_without_locks_has_no_leader_and_leaks_no_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert not Leader(tmp_path / "m.db").is_leader()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
