"""A plan is owed without usage: its months are listed, closed in time, and exported."""

import pytest

from metering.domain.instants import format_month
from metering.domain.statements.statements import Statement
from metering.exports.formats import FORMATS
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import CloseOptions
from metering.operations.statements.export_archive import ArchiveScope, export_archive
from metering.operations.statements.export_statement import ExportedFile
from metering.operations.statements.show_statement import StatementFilter, list_statements
from support.builders import HOUR, SECOND, instant, usage_event
from support.meter import PLANS
from support.presence import instance

USD = 1_000_000_000


@pytest.fixture
def idle(meter):
    """``acme`` on PRO from 20 October, set on that day, without any usage; ``other`` has no plan."""
    meter.now = instant("2026-10-20T09:00:00Z")
    meter.declare("other")
    meter.set_plan("pro", "2026-10-20")
    return meter


def listed(meter, **wanted):
    found = list_statements(meter.engine, StatementFilter(**wanted), PLANS, now=meter.now)
    return [(each.account, format_month(each.statement.month), each.statement.total_cents) for each in found]


def due(meter):
    closed = close_due_months(meter.engine, CloseOptions(PLANS), grace_hours=72, now=meter.now)
    statements = [instance(Statement, each) for each in closed]
    return [(each.account, format_month(each.month), each.total_cents) for each in statements]


def test_a_plan_without_usage_has_statements_up_to_the_current_month(idle):
    # 12 of 31 days of $9.00: 348.387 cents
    assert listed(idle) == [("acme", "2026-10", 348)]
    idle.now = instant("2026-12-01T00:00:00Z")
    assert listed(idle) == [("acme", "2026-10", 348), ("acme", "2026-11", 900), ("acme", "2026-12", 900)]
    assert listed(idle, status="closed") == listed(idle, account="other") == []


def test_the_months_of_a_plan_are_listed_beside_those_with_usage(idle):
    idle.ingest(usage_event(time=instant("2026-08-05T00:00:00Z")), usage_event(account="other"))
    idle.now = instant("2026-11-05T00:00:00Z")
    # November, the current month, has nothing but a fee yet
    assert [(account, month) for account, month, _ in listed(idle)] == [
        ("acme", "2026-08"),
        ("acme", "2026-10"),
        ("other", "2026-11"),
    ]
    idle.now = instant("2026-12-01T00:00:00Z")
    assert [month for account, month, _ in listed(idle) if account == "acme"] == ["2026-08", "2026-10", "2026-11"]


def test_a_plan_that_ended_has_no_statements_after_its_last_month(idle):
    idle.set_plan("free", "2026-11-10")
    idle.now = instant("2027-02-01T00:00:00Z")
    assert [month for _, month, _ in listed(idle)] == ["2026-10", "2026-11"]


def test_a_month_with_nothing_but_an_adjustment_is_listed(idle):
    idle.adjust(202610, 2 * USD, account="other")
    # less the free plan's credits of $0.10
    assert ("other", "2026-10", 190) in listed(idle)


def test_a_fee_without_usage_is_closed_72_hours_after_its_month(idle):
    idle.now = instant("2026-11-04T00:00:00Z") - 1
    assert due(idle) == []
    idle.now += 1
    assert due(idle) == [("acme", "2026-10", 348)]
    assert due(idle) == []
    idle.now = instant("2026-12-04T00:00:00Z")
    assert due(idle) == [("acme", "2026-11", 900)]
    assert listed(idle, status="closed") == [("acme", "2026-10", 348), ("acme", "2026-11", 900)]
    assert idle.violations() == []


def test_a_plan_that_is_recorded_late_leaves_72_hours_to_import_usage(idle):
    idle.now = instant("2026-12-10T00:00:00Z")
    idle.set_plan("pro", "2026-10-01", account="other")
    idle.now += 72 * HOUR - SECOND
    assert [account for account, *_ in due(idle)] == ["acme", "acme"]
    idle.ingest(usage_event(account="other", time=instant("2026-10-05T00:00:00Z")))
    # usage came in: its grace period starts again
    idle.now += 72 * HOUR - SECOND
    assert due(idle) == []
    idle.now += SECOND
    assert [month for account, month, _ in due(idle)] == ["2026-10", "2026-11"]
    assert idle.statement(202610, account="other").events == 1


def test_an_archive_has_the_months_of_a_plan(idle):
    scope = ArchiveScope("acme", None, [FORMATS["csv"]], 202611)
    archive = instance(ExportedFile, export_archive(idle.engine, scope, PLANS))
    names = b"".join(archive.chunks())
    archive.close()
    assert b"statement-acme-2026-10.csv" in names and b"statement-acme-2026-11.csv" in names
