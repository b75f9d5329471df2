"""The dispatcher sends what is written, at once and beside whoever is slow, and says when it can not."""

import time
from contextlib import contextmanager

from standardwebhooks import Webhook

from metering.domain.alerts.webhook_deliveries import DELIVERED
from metering.operations.alerts.dispatch_deliveries import Concurrency
from metering.operations.alerts.manage_webhooks import show_webhook
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.outbound.post import PostLimits
from metering.runtime.dispatcher import Dispatcher, DispatchLimits
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


def wait_until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def statuses(meter, endpoint):
    return [each.delivery.status for each in deliveries_of(meter, endpoint.id)]


def test_what_is_raised_in_the_process_is_sent_at_once_and_not_at_the_next_look(meter):
    with receiver() as there, dispatching(meter):
        endpoint, secret = create_endpoint(meter, there.url)
        meter.now = time.time_ns() // 1_000  # for the library, which asks for a time of today
        raise_one(meter)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
        time.sleep(0.2)  # the dispatcher has gone to wait: its next look is in half a minute
        raise_one(meter, subject="budget:2")
        (_, request) = there.wait_for(2)
        assert Webhook(secret).verify(request.body, request.headers)["type"] == "budget.threshold_reached"
        assert request.headers["content-type"] == "application/json"


def test_what_another_process_raised_is_sent_at_the_next_look(meter):
    with receiver() as there, dispatching(meter, DispatchLimits(poll_seconds=0.02)):
        create_endpoint(meter, there.url)
        other = Meter(meter.url)
        raise_one(other)
        there.wait_for(1)
        other.engine.dispose()


def test_what_waited_while_nobody_dispatched_is_sent_when_somebody_does(meter):
    with receiver() as there:
        create_endpoint(meter, there.url)
        raise_one(meter)
        with dispatching(meter):
            there.wait_for(1)


def test_a_receiver_that_never_answers_delays_no_other(meter):
    with receiver(silent) as slow, receiver() as quick, dispatching(meter):
        create_endpoint(meter, slow.url)
        endpoint, _ = create_endpoint(meter, quick.url)
        for number in range(40):
            raise_one(meter, subject=f"budget:{number}")
        quick.wait_for(40)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED] * 40)
        slow.wait_for(Concurrency().per_endpoint)
        assert len(slow.received) == Concurrency().per_endpoint


def test_a_failure_is_sent_again_later_under_the_same_id_with_the_time_of_then(meter):
    limits = DispatchLimits(poll_seconds=0.02)
    with receiver(failing_at_first(2)) as there, dispatching(meter, limits):
        endpoint, _ = create_endpoint(meter, there.url)
        raise_one(meter)
        for count in (1, 2):
            wait_until(lambda count=count: len(deliveries_of(meter, endpoint.id)[0].attempts) == count)
            meter.now += 400_000_000
        there.wait_for(3)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
    assert len({request.id for request in there.received}) == 1
    assert len({request.body for request in there.received}) == 1
    times = [int(request.headers["webhook-timestamp"]) for request in there.received]
    assert [later - times[0] for later in times] == [0, 400, 800]


def test_a_redirect_into_the_network_is_a_failure_and_reaches_nothing(meter):
    with receiver() as inner, receiver(refused("302 Found", location=inner.url)) as there, dispatching(meter):
        endpoint, _ = create_endpoint(meter, there.url)
        raise_one(meter)
        wait_until(lambda: deliveries_of(meter, endpoint.id)[0].attempts)
    assert inner.received == []
    assert deliveries_of(meter, endpoint.id)[0].attempts[0].error_code == "redirects"


def test_what_is_under_way_when_the_server_ends_is_somebody_else_s_at_once(meter):
    with receiver(silent) as there:
        endpoint, _ = create_endpoint(meter, there.url)
        with dispatching(meter):
            raise_one(meter)
            there.wait_for(1)
        (delivery,) = deliveries_of(meter, endpoint.id)
    assert (delivery.delivery.status, delivery.delivery.due_at, delivery.attempts) == ("pending", meter.now, [])


def test_what_ends_while_the_server_ends_is_recorded(meter):
    def taken_late(receiver, connection, number):
        receiver.stopped.wait(0.1)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with receiver(taken_late) as there:
        endpoint, _ = create_endpoint(meter, there.url)
        with dispatching(meter, DispatchLimits(poll_seconds=30.0, grace_seconds=20.0)):
            raise_one(meter)
            there.wait_for(1)
        assert statuses(meter, endpoint) == [DELIVERED]


def test_a_database_that_does_not_answer_is_said_once_and_what_came_meanwhile_is_sent(meter, caplog, tmp_path):
    with receiver() as there, dispatching(meter, DispatchLimits(poll_seconds=0.01, pause_seconds=0.01)):
        endpoint, _ = create_endpoint(meter, there.url)
        meter.execute("ALTER TABLE webhook_deliveries RENAME TO away")
        wait_until(lambda: "webhooks are not sent" in caplog.text)
        meter.execute("ALTER TABLE away RENAME TO webhook_deliveries")
        raise_one(meter)
        there.wait_for(1)
        wait_until(lambda: statuses(meter, endpoint) == [DELIVERED])
    told = [record.message for record in caplog.records if record.name == "metering.runtime.dispatcher"]
    assert [line.split(":")[0] for line in told] == ["webhooks are not sent", "webhooks are sent again"]


def test_two_that_dispatch_send_each_webhook_once(meter):
    other = Meter(meter.url)
    with receiver() as there, dispatching(meter), dispatching(other, DispatchLimits(poll_seconds=0.01)):
        create_endpoint(meter, there.url)
        for number in range(60):
            raise_one(meter, subject=f"budget:{number}")
        there.wait_for(60)
    other.engine.dispose()
    assert len({request.id for request in there.received}) == len(there.received) == 60


def test_a_key_that_is_missing_is_said_and_with_it_everything_is_sent(meter, caplog):
    with receiver() as there:
        create_endpoint(meter, there.url)
        raise_one(meter)
        guard = webhook_settings().guard
        with dispatching(meter, settings=WebhookSettings(("b3RoZXIta2V5LXRoYXQtb25seS10ZXN0cy1rbm93LTE=",), guard)):
            wait_until(lambda: "can not be read with this key" in caplog.text)
        assert there.received == []
        meter.now += LIMITS.lease_seconds * 1_000_000
        with dispatching(meter, settings=WebhookSettings((SECRET_KEY,), guard)):
            there.wait_for(1)


def test_the_state_of_an_endpoint_is_told(meter):
    with receiver(refused()) as there, dispatching(meter):
        endpoint, _ = create_endpoint(meter, there.url)
        raise_one(meter)
        wait_until(lambda: show_webhook(meter.engine, endpoint.id, now=meter.now).endpoint.failing_since == meter.now)
