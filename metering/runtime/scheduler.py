"""Jobs ask each minute what is due, in the process that leads.

A job decides from what is recorded, not from when it was last called: what was missed while nothing ran is due at the next
tick, and a tick that comes late or twice changes nothing.
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
    """Something to be called at each tick: it looks for what is due and does it."""

    name: str
    run: Callable[[], object]


class StoppingError(Exception):
    """Raised inside a job whose process ends; what it was doing is left undone."""


class LeaderElection(Protocol):
    """Says which of several processes runs the jobs: ``leader`` and ``server_leader`` have their ways."""

    def is_leader(self) -> bool:
        """Return whether this process does."""

    def release(self) -> None:
        """Leave it to another one."""


class Scheduler:
    """Calls jobs at each tick, each in a thread of its own and never twice at once, while ``leader`` leads."""

    def __init__(
        self, jobs: Sequence[Job], leader: LeaderElection, metrics: Metrics | None = None, *, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self._leader = leader
        self._metrics = Metrics() if metrics is None else metrics
        self._jobs = jobs
        # By default APScheduler drops a call that is late by more than a second, as after a suspended machine.
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = BackgroundScheduler(job_defaults=defaults, timezone="UTC")
        for job in jobs:
            self._scheduler.add_job(
                self._call, "interval", args=[job], seconds=tick_seconds, id=job.name, next_run_time=datetime.now(UTC)
            )

    def start(self) -> None:
        """Begin to tick, at once."""
        self._scheduler.start()

    def stop(self) -> None:
        """End: wait for the jobs that run, then let another process lead."""
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
            _log.debug("%s was left undone: the process ends", job.name)
        except Exception as error:
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they may be what somebody sent
            # The next tick tries again; what one job meets must not end the others.
            _log.exception("the job %s failed", job.name)
            self._metrics.job_failed(job.name, time.perf_counter() - started)
        else:
            self._metrics.job_done(job.name, time.time(), time.perf_counter() - started)
