"""An alert and what is to be sent of it are written together, once, to whom it concerns."""

import json
import threading

import pytest

from metering.operations.alerts.manage_webhooks import EndpointChange, change_webhook, delete_webhook
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.engine.database import concurrent_write
from metering.storage.tables import alerts, webhook_deliveries, webhook_messages
from support.builders import NOW
from support.webhook_builders import create_endpoint, deliveries_of, new_alert, raise_one

ACME = 2


def test_each_endpoint_that_asks_for_it_gets_a_delivery_of_one_message(meter):
    first, second = create_endpoint(meter)[0], create_endpoint(meter, account="acme")[0]
    create_endpoint(meter, types=("price.changed",))
    assert raise_one(meter, account_id=ACME, period="2026-11", threshold=80)
    (one,), (other,) = deliveries_of(meter, first.row.id), deliveries_of(meter, second.row.id)
    assert one.row.message == other.row.message
    assert (one.row.status, one.row.due_at, one.row.alert_id) == ("pending", NOW, 1)
    (message,) = meter.rows(webhook_messages.select())
    assert json.loads(message.document) == {
        "type": "budget.threshold_reached",
        "timestamp": "1970-01-01T00:00:00.000000Z",
        "schema_version": 1,
        "data": {
            "alert_id": 1,
            "account": "acme",
            "subject": "budget:1",
            "period": "2026-11",
            "threshold": 80,
            "details": {"percent": 80},
        },
    }
    assert meter.count(webhook_deliveries) == 2


def test_an_endpoint_is_sent_nothing_from_behind_another_wall(meter):
    globex = meter.declare("globex")
    theirs, ours = create_endpoint(meter, account="globex")[0], create_endpoint(meter, account="acme")[0]
    narrowed = create_endpoint(meter, accounts=("acme",))[0]
    raise_one(meter, account_id=globex)
    raise_one(meter, type="price.changed", subject="price_table:1")
    assert [each.row.type for each in deliveries_of(meter, theirs.row.id)] == ["budget.threshold_reached"]
    assert deliveries_of(meter, ours.row.id) == deliveries_of(meter, narrowed.row.id) == []


def test_what_was_raised_before_is_sent_to_nobody(meter):
    endpoint, _ = create_endpoint(meter)
    assert [raise_one(meter), raise_one(meter), raise_one(meter, threshold=90)] == [True, False, True]
    assert len(deliveries_of(meter, endpoint.row.id)) == 2


def test_after_a_rollback_there_is_neither_the_alert_nor_a_delivery(meter):
    create_endpoint(meter)
    with pytest.raises(RuntimeError), concurrent_write(meter.engine) as connection:
        raise_alert(connection, new_alert(), now=NOW)
        raise RuntimeError
    assert [meter.count(table) for table in (alerts, webhook_messages, webhook_deliveries)] == [0, 0, 0]


def test_where_nobody_asks_no_message_is_written(meter):
    assert raise_one(meter)
    assert meter.count(webhook_messages) == 0


def test_what_is_raised_while_an_endpoint_is_disabled_is_held_and_what_it_was_to_get_too(meter):
    endpoint, _ = create_endpoint(meter)
    raise_one(meter, subject="before")
    change_webhook(meter.engine, endpoint.row.id, EndpointChange(enabled=False), None, now=NOW)
    raise_one(meter, subject="while")
    assert [(each.row.status, each.row.due_at) for each in deliveries_of(meter, endpoint.row.id)] == [("held", None)] * 2


def test_nothing_is_written_for_an_endpoint_that_was_deleted(meter):
    endpoint, _ = create_endpoint(meter)
    delete_webhook(meter.engine, endpoint.row.id, now=NOW)
    assert raise_one(meter)
    assert meter.count(webhook_deliveries) == 0


def test_many_that_raise_the_same_at_once_write_it_once(meter):
    endpoint, _ = create_endpoint(meter)
    told = []
    barrier = threading.Barrier(4)

    def run():
        barrier.wait()
        told.extend([raise_one(meter, threshold=threshold) for threshold in range(20)])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(told), sum(told)) == (80, 20)
    assert len(deliveries_of(meter, endpoint.row.id)) == 20
