"""Months that are due and can not be closed: asking again writes nothing, and one account's failure is its own."""

import json
import logging
from functools import partial

import pytest
from sqlalchemy import event

from metering.domain.statements.close_failure import CloseFailure
from metering.operations.statements import close_due, close_month
from metering.operations.statements.close_due import close_due_months
from metering.operations.statements.close_month import CloseOptions, UnpricedUsageError
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
    """Twenty accounts whose October has usage without a price; it is long over."""
    for name in NAMES:
        meter.declare(name)
    meter.now = TIME
    meter.ingest(*(usage_event(id=name, time=TIME, account=name, model="new") for name in NAMES))
    meter.now = instant("2026-11-20T00:00:00Z")
    return meter


@pytest.fixture
def write_transactions(monkeypatch):
    """What asked for a write transaction, by name."""
    asked = []

    def counted(engine, name, writing):
        asked.append(name)
        return writing(engine)

    monkeypatch.setattr(close_month, "writing", partial(counted, name="close", writing=close_month.writing))
    monkeypatch.setattr(close_due, "writing", partial(counted, name="alert", writing=close_due.writing))
    return asked


def test_twenty_blocked_months_are_told_once_each_and_then_cost_no_write_transaction(blocked, write_transactions):
    assert {each.code for each in due(blocked)} == {"unpriced_usage"}
    assert write_transactions == ["alert"] * 20  # the alerts; nobody was locked out to see that
    write_transactions.clear()
    assert [each.account for each in due(blocked)] == NAMES
    assert write_transactions == []
    assert len(not_closed_alerts(blocked)) == 20


def test_blocked_months_do_not_insert_or_update_when_nothing_has_changed(blocked):
    due(blocked)
    written = []

    def note(_connection, _cursor, statement, *_):
        if statement.split()[0] in {"INSERT", "UPDATE", "DELETE", "LOCK"} or "FOR UPDATE" in statement:
            written.append(statement)

    event.listen(blocked.engine, "before_cursor_execute", note)
    due(blocked)
    event.remove(blocked.engine, "before_cursor_execute", note)
    assert written == []


def test_a_blocked_month_closes_at_the_next_tick_when_its_usage_may_be_unpriced(blocked):
    due(blocked)
    assert [each.account for each in due(blocked, allow_unpriced=True)] == NAMES
    assert due(blocked) == []


def test_a_month_that_somebody_closed_meanwhile_with_unpriced_usage_is_not_called_refused(blocked, monkeypatch):
    look = close_due._close_if_priced

    def late(engine, account, month, how, *, now):
        close_month.close_month(engine, account.name, month, CloseOptions(PLANS, allow_unpriced=True), now=now)
        return look(engine, account, month, how, now=now)

    monkeypatch.setattr(close_due, "_close_if_priced", late)
    assert [each.account for each in due(blocked) if not isinstance(each, CloseFailure)] == NAMES
    assert not_closed_alerts(blocked) == []


def test_usage_that_loses_its_price_between_the_look_and_the_close_is_refused_all_the_same(blocked, monkeypatch):
    monkeypatch.setattr(close_due, "refuse_unpriced", lambda *_: None)
    assert {each.code for each in due(blocked)} == {UnpricedUsageError.code}


def test_an_account_over_which_the_code_fails_keeps_no_other_open(meter, monkeypatch, caplog):
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
    assert caplog.messages == ["2026-10 of acme is not closed"]
    assert caplog.records[0].exc_info[0] is KeyError
    assert [each.code for each in due(meter)] == ["internal_error"]
    (alert,) = not_closed_alerts(meter)
    assert (alert.subject, alert.period, json.loads(alert.data)["code"]) == ("account:2", "2026-10", "internal_error")
    monkeypatch.undo()
    assert [each.account for each in due(meter)] == ["acme"]
    assert meter.violations() == []


def test_what_the_database_refuses_is_logged_without_what_somebody_sent(meter, monkeypatch, caplog):
    meter.now = TIME
    meter.ingest(usage_event(id="a", time=TIME))
    meter.now = instant("2026-11-20T00:00:00Z")

    sent = ("what somebody sent".upper(),)

    def failing(connection, *_, **__):
        connection.exec_driver_sql(f"SELECT * FROM nowhere WHERE x = {'?' if meter.on_sqlite else '%s'}", sent)

    monkeypatch.setattr(close_month, "_close", failing)
    with caplog.at_level(logging.ERROR):
        assert [each.code for each in due(meter)] == ["internal_error"]
    assert "nowhere" in caplog.text
    assert sent[0] not in caplog.text
