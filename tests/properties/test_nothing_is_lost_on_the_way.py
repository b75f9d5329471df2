"""Whatever receivers, processes and operators do: each alert has one delivery per endpoint, and a redelivery arrives."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.domain.alerts.webhook_deliveries import DeliveryQuery
from metering.operations.alerts.dispatch_deliveries import Concurrency
from metering.operations.alerts.manage_webhooks import EndpointChange, change_webhook, show_webhook
from metering.operations.alerts.redeliver import redeliver
from metering.outbound.post import PostResult
from support.builders import DAY, NOW, SECOND
from support.webhook_builders import (
    ACCEPTED,
    GONE,
    NO_RESPONSE,
    REFUSED,
    Sender,
    create_endpoint,
    deliveries_of,
    raise_one,
    webhook_settings,
)

LEASE = 45 * SECOND
OUTCOMES = [ACCEPTED, REFUSED, NO_RESPONSE, GONE, PostResult(1, 302), PostResult(1, 503, retry_after=7200.0)]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("raise"), st.integers(0, 5)),
        st.tuples(st.just("send"), st.sampled_from(OUTCOMES)),
        st.tuples(st.just("die"), st.none()),  # claimed, perhaps sent, never recorded
        st.tuples(st.just("wait"), st.sampled_from([SECOND, LEASE, DAY // 4, 6 * DAY])),
        st.tuples(st.just("enable"), st.booleans()),
        st.tuples(st.just("redeliver"), st.sampled_from([(), ("delivered",), ("failed", "held")])),
    ),
    max_size=25,
)


def check(meter, endpoint, raised):
    """Check the invariants between two steps."""
    logs = deliveries_of(meter, endpoint)
    alerts = [each.delivery.alert_id for each in logs if each.delivery.type != "webhook.disabled"]
    assert len(alerts) == len(set(alerts)) == len(raised)
    disabled = show_webhook(meter.engine, endpoint, now=meter.now).endpoint.disabled_at is not None
    for each in logs:
        assert (each.delivery.status == "pending") == (each.delivery.due_at is not None)
        assert not (disabled and each.delivery.status == "pending")
        if each.delivery.status == "pending":
            assert each.delivery.due_at <= meter.now + DAY + DAY // 2
        if each.delivery.status == "delivered":
            assert any(attempt.status_code == 204 for attempt in each.attempts)


@pytest.mark.only_on("sqlite")
@given(steps=steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_alert_is_delivered_when_redelivered_whatever_happened_before(new_meter, steps):
    meter = new_meter()
    endpoint = create_endpoint(meter)[0].id
    sender, raised = Sender(meter, Concurrency(total=4, per_endpoint=3, per_failing_endpoint=1)), set()
    for kind, what in steps:
        if kind == "raise":
            assert raise_one(meter, subject=f"budget:{what}") == (what not in raised)
            raised.add(what)
        elif kind == "send":
            sender.send(what)
        elif kind == "die":
            sender.claim()
        elif kind == "wait":
            meter.now += what
        elif kind == "enable":
            change_webhook(meter.engine, endpoint, EndpointChange(enabled=what), webhook_settings(), now=meter.now)
        elif show_webhook(meter.engine, endpoint, now=meter.now).endpoint.disabled_at is None:
            redeliver(meter.engine, DeliveryQuery(endpoint, what), now=meter.now)
        check(meter, endpoint, raised)
    change_webhook(meter.engine, endpoint, EndpointChange(enabled=True), webhook_settings(), now=meter.now)
    redeliver(meter.engine, DeliveryQuery(endpoint), now=meter.now)
    meter.now += 2 * DAY
    while sender.send(ACCEPTED):
        pass
    assert {each.delivery.status for each in deliveries_of(meter, endpoint)} <= {"delivered"}
    assert meter.now > NOW
