"""Judging credits as a job, each minute: what was ingested meanwhile may have used them up."""

import logging

from sqlalchemy import Engine

from metering.operations.judge_credits import Judging, judge_credits_of_all

_log = logging.getLogger(__name__)


def judge_credits_each_tick(engine: Engine, how: Judging, now: int) -> None:
    """Raise the alerts that are due at ``now``."""
    raised = judge_credits_of_all(engine, how, now=now)
    if raised:
        _log.info("credits: %d new alerts", raised)
