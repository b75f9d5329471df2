"""A background thread that evaluates budgets shortly after the commits that count usage.

Commits of this process wake it; it also polls for usage that other processes count. While usage keeps arriving, it evaluates
many commits together and pauses in between, so that it does not slow ingest.
"""

import logging
import threading
import time

from sqlalchemy.exc import StatementError

from metering.operations.budgets.evaluate_budgets import BudgetEvaluator

POLL_SECONDS = 0.5

_log = logging.getLogger(__name__)


class BudgetWatcher:
    """Evaluates budgets in a thread from ``start`` until ``stop``."""

    def __init__(self, evaluator: BudgetEvaluator, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._evaluator = evaluator
        self._poll_seconds = poll_seconds
        self._touched = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="budget-watcher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Announce new usage. Cheap, and never blocks."""
        self._touched.set()

    def stop(self) -> None:
        """Evaluate the remaining usage and end the thread; does nothing if it was not started."""
        self._stopping.set()
        self._touched.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._touched.wait(self._poll_seconds)
            self._touched.clear()
            self._evaluate()
            self._stopping.wait(max(0.0, self._evaluator.pause_until - time.monotonic()))
        self._evaluate()

    def _evaluate(self) -> None:
        try:
            self._evaluator.evaluate()
        except Exception as error:
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they may contain what a client sent
            # The usage is still recorded as not evaluated: the next round tries again.
            _log.exception("evaluating budgets failed; will retry")
            self._stopping.wait(self._poll_seconds)
