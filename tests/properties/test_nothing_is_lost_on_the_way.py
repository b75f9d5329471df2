"""Whatever receivers, processes and operators do: each alert has one delivery an endpoint, and what is asked for arrives."""

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
    GONE,
    REFUSED,
    TAKEN,
    UNANSWERED,
    Sender,
    create_endpoint,
    deliveries_of,
    raise_one,
    webhook_settings,
)

LEASE = 45 * SECOND
OUTCOMES = [TAKEN, REFUSED, UNANSWERED, GONE, PostResult(1, 302), PostResult(1, 503, retry_after=7200.0)]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("raise"), st.integers(0, 5)),
        st.tuples(st.just("send"), st.sampled_from(OUTCOMES)),
        st.tuples(st.just("die"), st.none()),  # taken, perhaps sent, never recorded
        st.tuples(st.just("wait"), st.sampled_from([SECOND, LEASE, DAY // 4, 6 * DAY])),
        st.tuples(st.just("enable"), st.booleans()),
        st.tuples(st.just("redeliver"), st.sampled_from([(), ("delivered",), ("failed", "held")])),
    ),
    max_size=25,
)


def check(meter, endpoint, raised):
    """What holds between any two steps."""
    found = deliveries_of(meter, endpoint)
    alerts = [each.row.alert_id for each in found if each.row.type != "webhook.disabled"]
    assert len(alerts) == len(set(alerts)) == len(raised)
    disabled = show_webhook(meter.engine, endpoint, now=meter.now).row.disabled_at is not None
    for each in found:
        assert (each.row.status == "pending") == (each.row.due_at is not None)
        assert not (disabled and each.row.status == "pending")
        if each.row.status == "pending":
            assert each.row.due_at <= meter.now + DAY + DAY // 2
        if each.row.status == "delivered":
            assert any(attempt.status_code == 204 for attempt in each.attempts)


@pytest.mark.only_on("sqlite")
@given(steps=steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_alert_is_delivered_once_asked_for_whatever_came_before(new_meter, steps):
    meter = new_meter()
    endpoint = create_endpoint(meter)[0].row.id
    sender, raised = Sender(meter, Concurrency(in_all=4, to_one=3, to_failing=1)), set()
    for kind, what in steps:
        if kind == "raise":
            assert raise_one(meter, subject=f"budget:{what}") == (what not in raised)
            raised.add(what)
        elif kind == "send":
            sender.send(what)
        elif kind == "die":
            sender.take()
        elif kind == "wait":
            meter.now += what
        elif kind == "enable":
            change_webhook(meter.engine, endpoint, EndpointChange(enabled=what), webhook_settings(), now=meter.now)
        elif show_webhook(meter.engine, endpoint, now=meter.now).row.disabled_at is None:
            redeliver(meter.engine, DeliveryQuery(endpoint, what), now=meter.now)
        check(meter, endpoint, raised)
    change_webhook(meter.engine, endpoint, EndpointChange(enabled=True), webhook_settings(), now=meter.now)
    redeliver(meter.engine, DeliveryQuery(endpoint), now=meter.now)
    meter.now += 2 * DAY
    while sender.send(TAKEN):
        pass
    assert {each.row.status for each in deliveries_of(meter, endpoint)} <= {"delivered"}
    assert meter.now > NOW
