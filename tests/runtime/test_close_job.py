"""The closing job closes the months that are due, and no others."""

import logging

from metering.operations.statements.close_month import CloseOptions
from metering.operations.statements.close_settings import CloseSettings
from metering.runtime.close_job import close_when_due
from metering.storage.tables import statements
from support.builders import HOUR, instant, usage_event
from support.meter import PLANS


def test_the_job_closes_a_month_after_its_grace_period_and_logs_it(meter, caplog):
    meter.now = instant("2026-10-10T00:00:00Z")
    meter.ingest(usage_event(time=meter.now))
    due = instant("2026-11-01T00:00:00Z") + 48 * HOUR
    how, settings = CloseOptions(PLANS), CloseSettings(grace_hours=48)
    with caplog.at_level(logging.INFO, logger="metering"):
        close_when_due(meter.engine, how, settings, due - 1)
        assert (meter.count(statements), caplog.messages) == (0, [])
        close_when_due(meter.engine, how, settings, due)
        close_when_due(meter.engine, how, settings, due + 1)
    assert (meter.count(statements), caplog.messages) == (1, ["closed 2026-10 of acme: $0.00"])
