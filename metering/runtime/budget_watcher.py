"""Judging beside ingest: a thread that judges what was counted, a moment after the commit that counted it.

It is woken by the commits of this process, and looks by itself now and then for what others counted (a command, another
process). While usage keeps coming in it judges many commits at once, and rests in between, so that ingest does not feel it.
"""

import logging
import threading
import time

from sqlalchemy.exc import StatementError

from metering.operations.budgets.evaluate_budgets import BudgetEvaluator

LOOK_SECONDS = 0.5

_log = logging.getLogger(__name__)


class BudgetWatcher:
    """A thread that judges from ``start`` until ``stop``."""

    def __init__(self, judge: BudgetEvaluator, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._judge = judge
        self._look_seconds = look_seconds
        self._touched = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to judge."""
        self._thread = threading.Thread(target=self._run, name="judging", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that usage was counted. Costs nothing, and never waits."""
        self._touched.set()

    def stop(self) -> None:
        """Judge what is left, and end the thread; nothing where none was started."""
        self._stopping.set()
        self._touched.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._touched.wait(self._look_seconds)
            self._touched.clear()
            self._once()
            self._stopping.wait(max(0.0, self._judge.pause_until - time.monotonic()))
        self._once()

    def _once(self) -> None:
        try:
            self._judge.judge()
        except Exception as error:
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they may be what somebody sent
            # What was to be judged is still noted: the next look tries again.
            _log.exception("judging budgets failed; it is tried again")
            self._stopping.wait(self._look_seconds)
