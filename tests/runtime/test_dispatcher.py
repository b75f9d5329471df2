"""The dispatcher sends deliveries at once, is not delayed by slow receivers, and survives failures of the database."""

import json
import time
from contextlib import contextmanager

import pytest
from standardwebhooks import Webhook

from metering.domain.alerts.webhook_deliveries import DELIVERED
from metering.operations.alerts.dispatch_deliveries import Concurrency
from metering.operations.alerts.manage_webhooks import show_webhook
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.outbound.post import PostLimits
from metering.runtime.dispatcher import Dispatcher, DispatchLimits
from support.failing_commits import failing_commit
from support.meter import Meter
from support.receiver import failing_at_first, receiver, refused, silent
from support.webhook_builders import SECRET_KEY, create_endpoint, deliveries_of, raise_one, webhook_settings

LIMITS = DispatchLimits(poll_seconds=30.0, pause_seconds=0.05, grace_seconds=0.2, post=PostLimits(total_seconds=20.0))


@contextmanager
def dispatching(meter, limits=LIMITS, settings=None):
    dispatcher = Dispatcher(meter.engine, settings or webhook_settings(), lambda: meter.now, limits)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def statuses(meter, endpoint):
    return [each.delivery.status for each in deliveries_of(meter, endpoint.id)]


def test_an_alert_of_this_process_is_sent_at_once_without_polling(meter):
    with receiver() as hook, dispatching(meter):
        endpoint, secret = create_endpoint(meter, hook.url)
        meter.now = time.time_ns() // 1_000  # the library requires a current timestamp
        raise_one(meter)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
        time.sleep(0.2)  # the dispatcher is waiting now: its next poll is in half a minute
        raise_one(meter, subject="budget:2")
        (_, request) = hook.wait_for(2)
        assert Webhook(secret).verify(request.body, request.headers)["type"] == "budget.threshold_reached"
        assert request.headers["content-type"] == "application/json"


def test_an_alert_of_another_process_is_sent_at_the_next_poll(meter):
    with receiver() as hook, dispatching(meter, DispatchLimits(poll_seconds=0.02)):
        create_endpoint(meter, hook.url)
        other = Meter(meter.url)
        raise_one(other)
        hook.wait_for(1)
        other.engine.dispose()


def test_deliveries_that_waited_are_sent_when_a_dispatcher_starts(meter):
    with receiver() as hook:
        create_endpoint(meter, hook.url)
        raise_one(meter)
        with dispatching(meter):
            hook.wait_for(1)


def test_a_receiver_that_never_responds_delays_no_other(meter):
    with receiver(silent) as slow, receiver() as quick, dispatching(meter):
        create_endpoint(meter, slow.url)
        endpoint, _ = create_endpoint(meter, quick.url)
        for number in range(40):
            raise_one(meter, subject=f"budget:{number}")
        quick.wait_for(40)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED] * 40)
        slow.wait_for(Concurrency().per_endpoint)
        assert len(slow.received) == Concurrency().per_endpoint


def test_a_failed_delivery_is_retried_with_the_same_id_and_a_new_timestamp(meter):
    limits = DispatchLimits(poll_seconds=0.02)
    with receiver(failing_at_first(2)) as hook, dispatching(meter, limits):
        endpoint, _ = create_endpoint(meter, hook.url)
        raise_one(meter)
        for count in (1, 2):
            wait_until(lambda count=count: len(deliveries_of(meter, endpoint.id)[0].attempts) == count)
            meter.now += 400_000_000
        hook.wait_for(3)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
    assert len({request.id for request in hook.received}) == 1
    assert len({request.body for request in hook.received}) == 1
    times = [int(request.headers["webhook-timestamp"]) for request in hook.received]
    assert [later - times[0] for later in times] == [0, 400, 800]


def test_a_redirect_into_the_network_is_a_failure_and_reaches_nothing(meter):
    with receiver() as inner, receiver(refused("302 Found", location=inner.url)) as hook, dispatching(meter):
        endpoint, _ = create_endpoint(meter, hook.url)
        raise_one(meter)
        wait_until(lambda: deliveries_of(meter, endpoint.id)[0].attempts)
    assert inner.received == []
    assert deliveries_of(meter, endpoint.id)[0].attempts[0].error_code == "redirects"


def test_a_delivery_in_progress_when_the_server_stops_is_released_at_once(meter):
    with receiver(silent) as hook:
        endpoint, _ = create_endpoint(meter, hook.url)
        with dispatching(meter):
            raise_one(meter)
            hook.wait_for(1)
        (log,) = deliveries_of(meter, endpoint.id)
    assert (log.delivery.status, log.delivery.due_at, log.attempts) == ("pending", meter.now, [])


def test_an_attempt_that_ends_while_the_server_stops_is_recorded(meter):
    def accepted_late(receiver, connection, number):
        receiver.stopped.wait(0.1)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with receiver(accepted_late) as hook:
        endpoint, _ = create_endpoint(meter, hook.url)
        with dispatching(meter, DispatchLimits(poll_seconds=30.0, grace_seconds=20.0)):
            raise_one(meter)
            hook.wait_for(1)
        assert statuses(meter, endpoint) == [DELIVERED]


def test_a_database_failure_is_logged_once_and_later_alerts_are_sent(meter, caplog, tmp_path):
    with receiver() as hook, dispatching(meter, DispatchLimits(poll_seconds=0.01, pause_seconds=0.01)):
        endpoint, _ = create_endpoint(meter, hook.url)
        meter.execute("ALTER TABLE webhook_deliveries RENAME TO away")
        wait_until(lambda: "cannot send webhooks" in caplog.text)
        meter.execute("ALTER TABLE away RENAME TO webhook_deliveries")
        raise_one(meter)
        hook.wait_for(1)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
    lines = [record.message for record in caplog.records if record.name == "metering.runtime.dispatcher"]
    assert [line.split(":")[0] for line in lines] == ["cannot send webhooks", "sending webhooks again"]


def test_two_dispatchers_send_each_delivery_once(meter):
    other = Meter(meter.url)
    with receiver() as hook, dispatching(meter), dispatching(other, DispatchLimits(poll_seconds=0.01)):
        create_endpoint(meter, hook.url)
        for number in range(60):
            raise_one(meter, subject=f"budget:{number}")
        hook.wait_for(60)
    other.engine.dispose()
    assert len({request.id for request in hook.received}) == len(hook.received) == 60


def test_without_the_right_key_nothing_is_sent_and_with_it_everything(meter, caplog):
    with receiver() as hook:
        create_endpoint(meter, hook.url)
        raise_one(meter)
        guard = webhook_settings().guard
        with dispatching(meter, settings=WebhookSettings(("b3RoZXIta2V5LXRoYXQtb25seS10ZXN0cy1rbm93LTE=",), guard)):
            wait_until(lambda: "cannot decrypt a secret" in caplog.text)
        assert hook.received == []
        meter.now += LIMITS.lease_seconds * 1_000_000
        with dispatching(meter, settings=WebhookSettings((SECRET_KEY,), guard)):
            hook.wait_for(1)


def test_a_failing_endpoint_is_marked(meter):
    with receiver(refused()) as hook, dispatching(meter):
        endpoint, _ = create_endpoint(meter, hook.url)
        raise_one(meter)
        wait_until(lambda: show_webhook(meter.engine, endpoint.id, now=meter.now).endpoint.failing_since == meter.now)


UNICODE = "Zürich–東京 🚀 \u202e\u0301 naïve"


@pytest.mark.parametrize("format_", ["standard", "slack"])
def test_names_and_texts_beyond_ascii_arrive_signed_and_unchanged(meter, format_):
    meter.declare("Ærø-東京")
    details = {"name": UNICODE, "scope": {"tag:équipe": [UNICODE]}, "spent_nano_usd": 400_120_000_000}
    with receiver() as hook, dispatching(meter):
        endpoint, secret = create_endpoint(meter, hook.url, account="Ærø-東京", format=format_, description="Überwachung 🚨")
        meter.now = time.time_ns() // 1_000  # the library requires a current timestamp
        raise_one(meter, subject="usage:3:ünïted:modèle/é", account_id=3, data=json.dumps(details))
        (request,) = hook.wait_for(1)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
    assert endpoint.description == "Überwachung 🚨"
    document = Webhook(secret).verify(request.body, request.headers)  # over the bytes that arrived
    assert request.headers["content-length"] == str(len(request.body))
    assert "東京".encode() in request.body  # UTF-8, not escaped
    if format_ == "standard":
        assert document["data"]["account"] == "Ærø-東京"
        assert document["data"]["subject"] == "usage:3:ünïted:modèle/é"
        assert document["data"]["details"] == details
    else:
        assert document["text"] == "Budget threshold reached · Ærø-東京"
        lines = document["blocks"][0]["text"]["text"].split("\n")
        assert lines[2:5] == ["subject: usage:3:ünïted:modèle/é", f"name: {UNICODE}", "spent: $400.12"]


def test_every_retry_of_a_message_beyond_ascii_has_a_valid_signature_over_the_same_bytes(meter):
    limits = DispatchLimits(poll_seconds=0.02)
    with receiver(failing_at_first(1)) as hook, dispatching(meter, limits):
        endpoint, secret = create_endpoint(meter, hook.url)
        meter.now = time.time_ns() // 1_000
        raise_one(meter, data=json.dumps({"name": UNICODE}))
        wait_until(lambda: len(deliveries_of(meter, endpoint.id)[0].attempts) == 1)
        meter.now += 10_000_000
        requests = hook.wait_for(2)
    assert len({request.body for request in requests}) == 1
    assert len({request.headers["webhook-signature"] for request in requests}) == 2
    for request in requests:
        assert Webhook(secret).verify(request.body, request.headers)["data"]["details"] == {"name": UNICODE}


def test_a_response_beyond_ascii_is_logged_as_text(meter):
    body = "Größe überschritten: 東京".encode()
    with receiver(refused("400 Bad Request", body, content_type="text/plain")) as hook, dispatching(meter):
        endpoint, _ = create_endpoint(meter, hook.url)
        raise_one(meter)
        wait_until(lambda: deliveries_of(meter, endpoint.id)[0].attempts)
    assert deliveries_of(meter, endpoint.id)[0].attempts[0].answer == "Größe überschritten: 東京"


def test_an_attempt_whose_commit_fails_is_recorded_once_the_database_is_back(meter, caplog):
    limits = DispatchLimits(poll_seconds=0.01, pause_seconds=0.01)
    with receiver() as hook, dispatching(meter, limits), failing_commit(meter.engine, "webhook_attempts") as failed:
        endpoint, _ = create_endpoint(meter, hook.url)
        raise_one(meter)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
    assert failed == ["webhook_attempts"]
    assert "cannot send webhooks: OperationalError" in caplog.text
    assert [len(log.attempts) for log in deliveries_of(meter, endpoint.id)] == [1]
    assert len(hook.received) == 1  # recorded from memory, not sent again
