"""Closing as a job: closes the months that are due and logs each one.

A month that cannot be closed raises an alert once; closing it is retried at every run.
"""

import logging

from sqlalchemy import Engine

from metering.domain.instants import format_month
from metering.domain.statements.statements import Statement
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import CloseOptions
from metering.operations.statements.close_settings import CloseSettings
from pricing.dollars import format_cents
from pricing.money import PICO_PER_CENT

_log = logging.getLogger(__name__)


def close_when_due(engine: Engine, how: CloseOptions, settings: CloseSettings, now: int) -> None:
    """Close the months that are due at ``now``."""
    for found in close_due_months(engine, how, grace_hours=settings.grace_hours, now=now):
        if isinstance(found, Statement):
            total = format_cents(found.total_cents * PICO_PER_CENT)
            _log.info("closed %s of %s: $%s", format_month(found.month), found.account, total)
