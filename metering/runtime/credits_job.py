"""Evaluating credits as a job: new usage may have used them up."""

import logging
from collections.abc import Callable

from sqlalchemy import Engine

from metering.operations.credits.evaluate_credits import NOTHING_SEEN, CreditAlertPolicy, evaluate_credits

_log = logging.getLogger(__name__)


class CreditsJob:
    """Raises the alerts that are due. It remembers what it has seen and reads an account again only when it has changed.

    The memory only saves work: after a restart or a failed run all accounts are read again, and no alert is raised twice.
    """

    def __init__(self, engine: Engine, policy: CreditAlertPolicy, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._seen = NOTHING_SEEN

    def __call__(self) -> None:
        """Evaluate the accounts that have changed since the last run."""
        evaluation = evaluate_credits(self._engine, self._policy, self._seen, now=self._clock())
        self._seen = evaluation.seen
        if evaluation.raised:
            _log.info("credits: %d new alerts", evaluation.raised)
