"""Finding due deliveries reads neither finished deliveries nor the backlog of other endpoints, however large."""

import pytest
from sqlalchemy import event as listen_to
from sqlalchemy.exc import IntegrityError

from metering.operations.alerts.dispatch_deliveries import Concurrency
from metering.storage.alerts.delivery_queue import choose_due, release
from metering.storage.engine.database import concurrent_write, exclusive_write
from metering.storage.tables import webhook_deliveries
from support.builders import NOW
from support.webhook_builders import Sender, create_endpoint, raise_one

SENT = 20_000
BACKLOG = 5_000

_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})",
    "postgresql": "WITH numbers(n) AS (SELECT CAST(generate_series(1, {count}) AS bigint))",
}
_MESSAGES = """
INSERT INTO webhook_messages (name, type, created_at, document) {numbers}
SELECT 'msg_' || n, 'price.changed', 0, '{{}}' FROM numbers
"""
_DELIVERIES = """
INSERT INTO webhook_deliveries (endpoint_id, message_id, status, tries, due_at, created_at, finished_at)
SELECT 1, id, CASE WHEN id <= {sent} THEN 'delivered' ELSE 'pending' END, 1, CASE WHEN id <= {sent} THEN NULL ELSE 0 END,
    0, CASE WHEN id <= {sent} THEN 0 ELSE NULL END
FROM webhook_messages
"""


@pytest.fixture
def filled(meter):
    """An endpoint with many finished and many pending deliveries, and another one."""
    create_endpoint(meter)
    create_endpoint(meter, types=("budget.threshold_reached",))
    numbers = _NUMBERS[meter.engine.dialect.name].format(count=SENT + BACKLOG)
    meter.execute(_MESSAGES.format(numbers=numbers))
    meter.execute(_DELIVERIES.format(sent=SENT))
    raise_one(meter)
    with meter.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return meter


def plans_of(meter, work):
    statements = []

    def record(_connection, _cursor, statement, parameters, _context, _many):
        if statement.startswith("SELECT") and "webhook_deliveries" in statement:
            statements.append((statement, parameters))

    listen_to.listen(meter.engine, "before_cursor_execute", record)
    work()
    listen_to.remove(meter.engine, "before_cursor_execute", record)
    explain = "EXPLAIN QUERY PLAN" if meter.on_sqlite else "EXPLAIN"
    with exclusive_write(meter.engine) as connection:
        return [
            "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters))
            for statement, parameters in statements
        ]


def test_due_deliveries_are_found_by_index(filled):
    plans = plans_of(filled, Sender(filled).claim)
    assert len(plans) == 5  # is anything due, for which endpoints, which deliveries of each of the two, and what to send
    assert [plan for plan in plans if "Seq Scan on webhook_deliveries" in plan or "SCAN webhook_deliveries" in plan] == []
    assert all("ix_webhook_deliveries_due" in plan for plan in plans[:4])


def test_the_backlog_of_one_endpoint_does_not_delay_another(filled):
    claimed = Sender(filled).claim()
    assert {each.endpoint_id for each in claimed} == {1, 2}


def test_within_the_limit_the_delivery_that_became_due_first_is_claimed(meter):
    create_endpoint(meter)
    for number in range(3):
        raise_one(meter, subject=f"budget:{number}")
    meter.execute("UPDATE webhook_deliveries SET due_at = ? - id", NOW)
    assert [each.delivery_id for each in Sender(meter, Concurrency(total=1)).claim()] == [3]


@pytest.mark.only_on("postgresql")
def test_deliveries_locked_by_another_replica_are_skipped_without_waiting(meter):
    create_endpoint(meter)
    for number in range(4):
        raise_one(meter, subject=f"budget:{number}")
    with concurrent_write(meter.engine) as ours, concurrent_write(meter.engine) as theirs:
        theirs.exec_driver_sql("SET LOCAL lock_timeout = 1000")
        chosen = choose_due(ours, 1, most=2, now=meter.now)
        others = choose_due(theirs, 1, most=4, now=meter.now)
    assert (chosen, others) == ([1, 2], [3, 4])


def test_a_delivery_that_another_process_has_finished_is_not_released(meter):
    create_endpoint(meter)
    for number in range(2):
        raise_one(meter, subject=f"budget:{number}")
    meter.execute("UPDATE webhook_deliveries SET status = 'delivered', due_at = NULL, finished_at = 7 WHERE id = 1")
    with concurrent_write(meter.engine) as connection:
        release(connection, [1, 2], now=NOW + 1)
    rows = meter.rows(webhook_deliveries.select().order_by(webhook_deliveries.c.id))
    assert [(row.status, row.due_at) for row in rows] == [("delivered", None), ("pending", NOW + 1)]


@pytest.mark.parametrize(
    "change",
    [
        "status = 'lost'",
        "status = 'delivered'",
        "due_at = NULL",
        "finished_at = 1",
        "endpoint_id = 99",
        "message_id = 99",
    ],
)
def test_an_inconsistent_delivery_is_refused_by_the_database(meter, change):
    create_endpoint(meter)
    raise_one(meter)
    with pytest.raises(IntegrityError):
        meter.execute(f"UPDATE webhook_deliveries SET {change}")
