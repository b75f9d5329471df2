"""Runs jobs every minute, in the leader process.

A job decides what is due from what is recorded, not from when it last ran: what was missed while nothing ran is due at the next
tick, and a late or repeated tick changes nothing.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from apscheduler.schedulers.background import BackgroundScheduler
from msgspec import Struct
from sqlalchemy.exc import StatementError

from metering.runtime.metrics import Metrics

TICK_SECONDS = 60

_log = logging.getLogger(__name__)


class Job(Struct, frozen=True):
    """A function that is called at each tick: it looks for what is due and does it."""

    name: str
    run: Callable[[], object]


class StoppingError(Exception):
    """Raised inside a job when the process is stopping; its work is left unfinished."""


class LeaderElection(Protocol):
    """Decides which of several processes runs the jobs; implemented by ``Leader`` and ``ServerLeader``."""

    def is_leader(self) -> bool:
        """Return whether this process is the leader."""

    def release(self) -> None:
        """Let another process become the leader."""


class Scheduler:
    """Calls jobs at each tick while this process is the leader; each in its own thread, and never twice at once."""

    def __init__(
        self, jobs: Sequence[Job], leader: LeaderElection, metrics: Metrics | None = None, *, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self._leader = leader
        self._metrics = Metrics() if metrics is None else metrics
        self._jobs = jobs
        # By default APScheduler drops a call that is more than a second late, for example after the machine was suspended.
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = BackgroundScheduler(job_defaults=defaults, timezone="UTC")
        for job in jobs:
            self._scheduler.add_job(
                self._call, "interval", args=[job], seconds=tick_seconds, id=job.name, next_run_time=datetime.now(UTC)
            )

    def start(self) -> None:
        """Start; the first tick is immediate."""
        self._scheduler.start()

    def stop(self) -> None:
        """Wait for running jobs, then let another process lead."""
        self._scheduler.shutdown(wait=True)
        self._leader.release()
        self._metrics.is_leader(is_leader=False)

    def _call(self, job: Job) -> None:
        is_leader = self._leader.is_leader()
        self._metrics.is_leader(is_leader=is_leader)
        if not is_leader:
            return
        started = time.perf_counter()
        try:
            job.run()
        except StoppingError:
            _log.debug("the job %s is unfinished: the process is stopping", job.name)
        except Exception as error:
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they may come from outside
            # The next tick tries again; an error in one job must not end the others.
            _log.exception("the job %s failed", job.name)
            self._metrics.job_failed(job.name, time.perf_counter() - started)
        else:
            self._metrics.job_done(job.name, time.time(), time.perf_counter() - started)
