"""An alert, its message and its deliveries are inserted together, once, for the endpoints that receive it."""

import json
import threading

import pytest

from metering.operations.alerts.manage_webhooks import EndpointChange, change_webhook, delete_webhook
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.engine.database import concurrent_write
from metering.storage.tables import alerts, webhook_deliveries, webhook_messages
from support.builders import NOW
from support.webhook_builders import create_endpoint, deliveries_of, new_alert, raise_one, webhook_settings

ACME = 2


def test_each_matching_endpoint_gets_a_delivery_of_the_same_message(meter):
    first, second = create_endpoint(meter)[0], create_endpoint(meter, account="acme")[0]
    create_endpoint(meter, types=("price.changed",))
    assert raise_one(meter, account_id=ACME, period="2026-11", threshold=80)
    (one,), (other,) = deliveries_of(meter, first.id), deliveries_of(meter, second.id)
    assert one.delivery.message == other.delivery.message
    assert (one.delivery.status, one.delivery.due_at, one.delivery.alert_id) == ("pending", NOW, 1)
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


def test_an_endpoint_receives_nothing_about_other_accounts(meter):
    globex = meter.declare("globex")
    theirs, ours = create_endpoint(meter, account="globex")[0], create_endpoint(meter, account="acme")[0]
    limited = create_endpoint(meter, accounts=("acme",))[0]
    raise_one(meter, account_id=globex)
    raise_one(meter, type="price.changed", subject="price_table:1")
    assert [each.delivery.type for each in deliveries_of(meter, theirs.id)] == ["budget.threshold_reached"]
    assert deliveries_of(meter, ours.id) == deliveries_of(meter, limited.id) == []


def test_an_alert_that_was_raised_before_is_not_sent_again(meter):
    endpoint, _ = create_endpoint(meter)
    assert [raise_one(meter), raise_one(meter), raise_one(meter, threshold=90)] == [True, False, True]
    assert len(deliveries_of(meter, endpoint.id)) == 2


def test_a_rollback_removes_the_alert_and_its_deliveries(meter):
    create_endpoint(meter)
    with pytest.raises(RuntimeError), concurrent_write(meter.engine) as connection:
        raise_alert(connection, new_alert(), now=NOW)
        raise RuntimeError
    assert [meter.count(table) for table in (alerts, webhook_messages, webhook_deliveries)] == [0, 0, 0]


def test_without_a_matching_endpoint_no_message_is_inserted(meter):
    assert raise_one(meter)
    assert meter.count(webhook_messages) == 0


def test_deliveries_to_a_disabled_endpoint_are_held_including_pending_ones(meter):
    endpoint, _ = create_endpoint(meter)
    raise_one(meter, subject="before")
    change_webhook(meter.engine, endpoint.id, EndpointChange(enabled=False), webhook_settings(), now=NOW)
    raise_one(meter, subject="while")
    assert [(each.delivery.status, each.delivery.due_at) for each in deliveries_of(meter, endpoint.id)] == [("held", None)] * 2


def test_a_deleted_endpoint_gets_no_delivery(meter):
    endpoint, _ = create_endpoint(meter)
    delete_webhook(meter.engine, endpoint.id, now=NOW)
    assert raise_one(meter)
    assert meter.count(webhook_deliveries) == 0


def test_an_alert_raised_by_many_threads_at_once_is_inserted_once(meter):
    endpoint, _ = create_endpoint(meter)
    raised = []
    barrier = threading.Barrier(4)

    def run():
        barrier.wait()
        raised.extend([raise_one(meter, threshold=threshold) for threshold in range(20)])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(raised), sum(raised)) == (80, 20)
    assert len(deliveries_of(meter, endpoint.id)) == 20
