"""Months that are due but cannot be closed: retrying writes nothing, and a failure affects only its own account."""

import json
import logging
from functools import partial

import pytest
from sqlalchemy import event

from metering.domain.statements.close_failure import CloseFailure
from metering.operations.statements import close_due, close_month
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import CloseOptions, UnpricedUsageError
from metering.storage.engine.database import exclusive_write
from metering.storage.tables import alerts
from support.builders import instant, usage_event
from support.meter import PLANS

OCTOBER = 202610
TIME = instant("2026-10-10T12:00:00Z")
NAMES = [f"account-{number}" for number in range(20)]


def due(meter, **how):
    return list(close_due_months(meter.engine, CloseOptions(PLANS, **how), grace_hours=72, now=meter.now))


def not_closed_alerts(meter):
    return meter.rows(alerts.select().where(alerts.c.type == "statement.not_closed").order_by(alerts.c.id))


@pytest.fixture
def blocked(meter):
    """Twenty accounts with unpriced usage in October, which is long over."""
    for name in NAMES:
        meter.declare(name)
    meter.now = TIME
    meter.ingest(*(usage_event(id=name, time=TIME, account=name, model="new") for name in NAMES))
    meter.now = instant("2026-11-20T00:00:00Z")
    return meter


@pytest.fixture
def write_transactions(monkeypatch):
    """The names of the operations that opened a write transaction."""
    opened = []

    def recorded(engine, name, original):
        opened.append(name)
        return original(engine)

    monkeypatch.setattr(close_month, "exclusive_write", partial(recorded, name="close", original=exclusive_write))
    monkeypatch.setattr(close_due, "exclusive_write", partial(recorded, name="alert", original=exclusive_write))
    return opened


def test_twenty_blocked_months_raise_one_alert_each_and_then_open_no_write_transaction(blocked, write_transactions):
    assert {each.code for each in due(blocked)} == {"unpriced_usage"}
    assert write_transactions == ["alert"] * 20
    write_transactions.clear()
    assert [each.account for each in due(blocked)] == NAMES
    assert write_transactions == []
    assert len(not_closed_alerts(blocked)) == 20


def test_unchanged_blocked_months_write_nothing(blocked):
    due(blocked)
    written = []

    def note(_connection, _cursor, statement, *_):
        if statement.split()[0] in {"INSERT", "UPDATE", "DELETE", "LOCK"} or "FOR UPDATE" in statement:
            written.append(statement)

    event.listen(blocked.engine, "before_cursor_execute", note)
    due(blocked)
    event.remove(blocked.engine, "before_cursor_execute", note)
    assert written == []


def test_a_blocked_month_closes_at_the_next_run_that_allows_unpriced_usage(blocked):
    due(blocked)
    assert [each.account for each in due(blocked, allow_unpriced=True)] == NAMES
    assert due(blocked) == []


def test_a_month_closed_concurrently_with_unpriced_usage_is_not_a_failure(blocked, monkeypatch):
    original = close_due._close_if_priced

    def closed_before(engine, account, month, how, *, now):
        close_month.close_month(engine, account.name, month, CloseOptions(PLANS, allow_unpriced=True), now=now)
        return original(engine, account, month, how, now=now)

    monkeypatch.setattr(close_due, "_close_if_priced", closed_before)
    assert [each.account for each in due(blocked) if not isinstance(each, CloseFailure)] == NAMES
    assert not_closed_alerts(blocked) == []


def test_unpriced_usage_that_arrives_after_the_first_check_still_blocks_the_close(blocked, monkeypatch):
    monkeypatch.setattr(close_due, "refuse_unpriced", lambda *_: None)
    assert {each.code for each in due(blocked)} == {UnpricedUsageError.code}


def test_a_crash_on_one_account_does_not_keep_others_open(meter, monkeypatch, caplog):
    meter.declare("beta")
    meter.now = TIME
    meter.ingest(usage_event(id="a", time=TIME), usage_event(id="b", time=TIME, account="beta"))
    meter.now = instant("2026-11-20T00:00:00Z")
    close = close_month._close

    def failing(connection, account, *rest, **how):
        if account.name == "acme":
            raise KeyError("secret words")
        return close(connection, account, *rest, **how)

    monkeypatch.setattr(close_month, "_close", failing)
    with caplog.at_level(logging.ERROR):
        refused, closed = due(meter)
    assert (refused.account, refused.month, refused.code) == ("acme", OCTOBER, "internal_error")
    assert "KeyError" in refused.reason
    assert "secret words" not in refused.reason
    assert (closed.account, closed.month) == ("beta", OCTOBER)
    assert caplog.messages == ["closing 2026-10 of acme failed"]
    assert caplog.records[0].exc_info[0] is KeyError
    assert [each.code for each in due(meter)] == ["internal_error"]
    (alert,) = not_closed_alerts(meter)
    assert (alert.subject, alert.period, json.loads(alert.data)["code"]) == ("account:2", "2026-10", "internal_error")
    monkeypatch.undo()
    assert [each.account for each in due(meter)] == ["acme"]
    assert meter.violations() == []


def test_a_database_error_is_logged_without_client_data(meter, monkeypatch, caplog):
    meter.now = TIME
    meter.ingest(usage_event(id="a", time=TIME))
    meter.now = instant("2026-11-20T00:00:00Z")

    sent = ("client data".upper(),)

    def failing(connection, *_, **__):
        connection.exec_driver_sql(f"SELECT * FROM nowhere WHERE x = {'?' if meter.on_sqlite else '%s'}", sent)

    monkeypatch.setattr(close_month, "_close", failing)
    with caplog.at_level(logging.ERROR):
        assert [each.code for each in due(meter)] == ["internal_error"]
    assert "nowhere" in caplog.text
    assert sent[0] not in caplog.text
