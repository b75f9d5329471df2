"""The leader calls each job at every tick, one call at a time, whatever errors a call raises."""

import logging
import threading
import time

import pytest

from metering.runtime.leader import Leader
from metering.runtime.scheduler import Job, Scheduler, StoppingError

TICK = 0.05


@pytest.fixture
def run(tmp_path):
    """A function that starts a scheduler on a database; all schedulers are stopped at the end."""
    running = []

    def start(*jobs, leader=None):
        scheduler = Scheduler(jobs, leader or Leader(tmp_path / "m.db"), tick_seconds=TICK)
        scheduler.start()
        running.append(scheduler)
        return scheduler

    yield start
    for scheduler in running:
        scheduler.stop()


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_a_job_is_called_at_once_and_at_each_tick(run):
    calls = []
    run(Job("count", lambda: calls.append(time.monotonic())))
    until(lambda: len(calls) >= 3)


def test_a_job_that_fails_is_called_again_and_affects_no_other(run, caplog):
    calls = []

    def fail():
        calls.append("fail")
        raise RuntimeError("what it met")

    run(Job("fail", fail), Job("other", lambda: calls.append("other")))
    until(lambda: calls.count("fail") >= 2 and calls.count("other") >= 2)
    assert any("the job fail failed" in record.message for record in caplog.records)


def test_only_the_leader_runs_jobs_and_another_process_takes_over(run, tmp_path):
    first = Leader(tmp_path / "m.db")
    assert first.is_leader()
    calls = []
    run(Job("count", lambda: calls.append(1)))
    time.sleep(TICK * 4)
    assert calls == []
    first.release()
    until(lambda: calls)


def test_a_job_never_runs_twice_at_once_and_missed_runs_become_one(run, caplog):
    caplog.set_level(logging.ERROR, logger="apscheduler")
    at_once, most = [], []
    gate = threading.Event()

    def slow():
        at_once.append(1)
        most.append(len(at_once))
        gate.wait(5)
        at_once.pop()

    run(Job("slow", slow))
    time.sleep(TICK * 6)
    assert most == [1]
    gate.set()
    until(lambda: len(most) >= 2)
    assert set(most) == {1}


def test_stopping_waits_for_running_jobs_and_logs_nothing_about_unfinished_work(tmp_path, caplog):
    ended = []
    began, stopping = threading.Event(), threading.Event()

    def interrupted():
        began.set()
        stopping.wait(5)
        ended.append(1)
        raise StoppingError

    leader = Leader(tmp_path / "m.db")
    scheduler = Scheduler([Job("interrupted", interrupted)], leader, tick_seconds=TICK)
    scheduler.start()
    assert began.wait(5)
    threading.Timer(0.2, stopping.set).start()
    scheduler.stop()
    assert ended
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert list(tmp_path.iterdir()) == []
