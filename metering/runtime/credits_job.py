"""Judging credits as a job, each minute: what was ingested meanwhile may have used them up."""

import logging
from collections.abc import Callable

from sqlalchemy import Engine

from metering.operations.credits.evaluate_credits import NOTHING_SEEN, CreditAlertPolicy, evaluate_credits

_log = logging.getLogger(__name__)


class CreditsJob:
    """Raises the alerts that are due. It remembers what it saw, and reads an account again when something has changed.

    What it remembers saves work and decides nothing: after a restart, or a call that failed, every account is read that may
    have changed, and an alert that was raised is not raised again.
    """

    def __init__(self, engine: Engine, how: CreditAlertPolicy, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._how = how
        self._clock = clock
        self._seen = NOTHING_SEEN

    def __call__(self) -> None:
        """Judge what has changed since the last call."""
        judged = evaluate_credits(self._engine, self._how, self._seen, now=self._clock())
        self._seen = judged.seen
        if judged.raised:
            _log.info("credits: %d new alerts", judged.raised)
