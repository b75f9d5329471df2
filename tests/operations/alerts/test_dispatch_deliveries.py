"""Deliveries are taken when they are due, by one at a time, within bounds; what came of them decides how they go on."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from metering.domain.alerts.webhook_deliveries import DeliveryQuery
from metering.operations.alerts.dispatch_deliveries import Concurrency, release_claims
from metering.operations.alerts.manage_webhooks import (
    EndpointChange,
    change_webhook,
    delete_webhook,
    rotate_webhook,
    show_webhook,
)
from metering.operations.alerts.redeliver import redeliver
from metering.outbound.post import PostResult
from metering.storage.alerts.delivery_queue import DeliveryUpdate, update_deliveries
from metering.storage.engine.database import concurrent_write
from metering.storage.tables import alerts, webhook_attempts
from support.builders import DAY, HOUR, NOW, SECOND
from support.row_locks import wait_until_somebody_waits
from support.webhook_builders import (
    GONE,
    LEASE,
    REFUSED,
    SECRET_KEY,
    TAKEN,
    UNANSWERED,
    Sender,
    create_endpoint,
    deliveries_of,
    raise_one,
    webhook_settings,
)


@pytest.fixture
def endpoint(meter):
    return create_endpoint(meter)[0].row


@pytest.fixture
def sender(meter):
    return Sender(meter)


def state(meter, endpoint):
    return show_webhook(meter.engine, endpoint.id, now=meter.now).row


def only(meter, endpoint):
    (found,) = deliveries_of(meter, endpoint.id)
    return found


def test_what_is_taken_is_nobody_else_s_until_the_lease_is_over(meter, endpoint, sender):
    raise_one(meter)
    (taken,) = sender.take()
    assert (taken.url, taken.attempt, len(taken.keys)) == ("https://hooks.example/", 1, 1)
    assert sender.take() == []
    meter.now += LEASE - 1
    assert sender.take() == []
    meter.now += 1
    (again,) = sender.take()
    assert again == taken  # the same id, the same body: whoever took it first may have sent it


def test_what_was_taken_and_not_sent_can_be_given_back(meter, endpoint, sender):
    raise_one(meter)
    (taken,) = sender.take()
    release_claims(meter.engine, [taken.delivery_id], now=meter.now)
    assert sender.take() == [taken]


def test_a_success_ends_a_delivery(meter, endpoint, sender):
    raise_one(meter)
    assert sender.send(TAKEN) == 1
    found = only(meter, endpoint)
    assert (found.row.status, found.row.tries, found.row.due_at, found.row.finished_at) == ("delivered", 1, None, NOW)
    (attempt,) = found.attempts
    assert (attempt.status_code, attempt.latency_ms, attempt.error_code, attempt.started_at) == (204, 12, "", NOW)


@pytest.mark.parametrize(
    ("posted", "code"),
    [
        (REFUSED, "refused"),
        (UNANSWERED, "too_slow"),
        (PostResult(1, 302), "redirects"),
        (PostResult(1, 404), "refused"),
        (PostResult(1, 100), "refused"),
        (PostResult(1, None, "forbidden_address", "no"), "forbidden_address"),
    ],
)
def test_everything_else_is_a_failure_that_is_tried_again(meter, endpoint, sender, posted, code):
    raise_one(meter)
    sender.send(posted)
    found = only(meter, endpoint)
    assert (found.row.status, found.row.due_at) == ("pending", NOW + 5 * SECOND)
    assert [attempt.error_code for attempt in found.attempts] == [code]
    assert state(meter, endpoint).failing_since == NOW


def test_a_day_of_failures_is_ten_attempts_and_then_it_is_given_up(meter, endpoint, sender):
    raise_one(meter)
    at = []
    while (due := only(meter, endpoint).row.due_at) is not None:
        meter.now = due
        at.append(due - NOW)
        assert sender.send(REFUSED) == 1
    assert at == [0, 5 * SECOND, 300 * SECOND, 1800 * SECOND, *(n * HOUR for n in (2, 5, 10, 14, 20, 24))]
    found = only(meter, endpoint)
    assert (found.row.status, found.row.tries, len(found.attempts)) == ("failed", 10, 10)
    assert {attempt.answer for attempt in found.attempts} == {"oh no"}


def test_the_receiver_s_wish_to_be_left_alone_is_honoured(meter, endpoint, sender):
    raise_one(meter)
    sender.send(PostResult(1, 429, retry_after=3_600.0))
    assert only(meter, endpoint).row.due_at == NOW + HOUR
    meter.now += HOUR
    sender.send(PostResult(1, 503, retry_after=1e12))
    assert only(meter, endpoint).row.due_at == meter.now + DAY


def test_a_success_ends_the_endpoint_s_failing(meter, endpoint, sender):
    raise_one(meter)
    sender.send(REFUSED)
    meter.now += 5 * SECOND
    sender.send(TAKEN)
    assert state(meter, endpoint).failing_since is None


def test_gone_disables_the_endpoint_keeps_what_it_was_to_get_and_tells_others(meter, endpoint, sender):
    other, _ = create_endpoint(meter, "https://other.example/", types=("webhook.disabled",))
    raise_one(meter, subject="first")
    raise_one(meter, subject="second")
    sender.send(GONE, REFUSED)
    found = state(meter, endpoint)
    assert (found.disabled_at, found.disabled_reason) == (NOW, "gone")
    assert {each.row.status for each in deliveries_of(meter, endpoint.id)} == {"held"}
    assert sender.send(TAKEN) == 1  # the alert, to the other endpoint
    (told,) = deliveries_of(meter, other.row.id)
    assert (told.row.type, told.row.status) == ("webhook.disabled", "delivered")
    (alert,) = meter.rows(select(alerts).where(alerts.c.type == "webhook.disabled"))
    assert (alert.subject, alert.account_id) == (f"webhook:{endpoint.id}", None)
    assert json.loads(alert.data)["reason"] == "gone"


@pytest.mark.parametrize(("after", "disabled"), [(5 * DAY - 1, False), (5 * DAY, True)])
def test_an_endpoint_that_fails_for_five_days_is_disabled_and_says_so(meter, endpoint, sender, after, disabled):
    raise_one(meter, subject="first")
    sender.send(REFUSED)
    meter.now = NOW + after
    raise_one(meter, subject="later")
    sender.send(REFUSED)
    found = state(meter, endpoint)
    assert (found.disabled_reason == "failing") is disabled
    assert found.failing_since == NOW
    assert meter.count(alerts, alerts.c.type == "webhook.disabled") == disabled


def test_an_account_s_endpoint_that_is_disabled_is_told_to_that_account_and_the_operator(meter, sender):
    endpoint = create_endpoint(meter, account="acme")[0].row
    watching, theirs = create_endpoint(meter, account="acme")[0].row, create_endpoint(meter)[0].row
    meter.declare("globex")
    foreign = create_endpoint(meter, account="globex")[0].row
    raise_one(meter, account_id=2)
    sent = sender.take()
    sender.record([each for each in sent if each.endpoint_id == endpoint.id], GONE)
    types = [[each.row.type for each in deliveries_of(meter, which.id)] for which in (watching, theirs, foreign)]
    assert types == [["budget.threshold_reached", "webhook.disabled"]] * 2 + [[]]


def test_enabled_again_an_endpoint_is_sent_what_it_missed_when_somebody_asks(meter, endpoint, sender):
    raise_one(meter, subject="first")
    sender.send(GONE)
    raise_one(meter, subject="missed")
    change_webhook(meter.engine, endpoint.id, EndpointChange(enabled=True), webhook_settings(), now=meter.now)
    assert sender.send(TAKEN) == 0
    # The two, and that it was disabled.
    assert redeliver(meter.engine, DeliveryQuery(endpoint.id), now=meter.now).deliveries == 3
    assert sender.send(TAKEN) == 3
    # Disabled again later, it is told again.
    meter.now += HOUR
    raise_one(meter, subject="third")
    sender.send(GONE)
    assert meter.count(alerts, alerts.c.type == "webhook.disabled") == 2


def test_one_endpoint_takes_no_more_than_its_share_and_another_is_not_behind_it(meter, endpoint):
    sender = Sender(meter, Concurrency(in_all=20, to_one=4, to_failing=1))
    other = create_endpoint(meter, types=("price.changed",))[0].row
    for number in range(10):
        raise_one(meter, subject=f"a{number}")
    meter.now += 1
    raise_one(meter, type="price.changed", subject="b")
    taken = sender.take()
    assert sorted(each.endpoint_id for each in taken) == [endpoint.id] * 4 + [other.id]
    assert sender.take({endpoint.id: 4}) == []
    assert len(sender.take({endpoint.id: 2})) == 2


def test_an_endpoint_that_fails_has_one_delivery_under_way(meter, endpoint):
    sender = Sender(meter, Concurrency(in_all=20, to_one=4, to_failing=1))
    raise_one(meter, subject="first")
    sender.send(REFUSED)
    for number in range(10):
        raise_one(meter, subject=f"a{number}")
    assert len(sender.take()) == 1


def test_there_is_a_bound_over_all_endpoints(meter):
    sender = Sender(meter, Concurrency(in_all=3, to_one=2, to_failing=1))
    for number in range(3):
        create_endpoint(meter, f"https://hooks{number}.example/")
    for number in range(4):
        raise_one(meter, subject=f"a{number}")
    taken = sender.take()
    assert len(taken) == 3
    assert sender.take({7: 3}) == []


def test_a_message_is_signed_by_the_secrets_that_are_valid_when_it_is_sent(meter, endpoint, sender):
    rotate_webhook(meter.engine, endpoint.id, webhook_settings(), overlap_hours=1, now=meter.now)
    raise_one(meter)
    assert len(sender.take(lease=1)[0].keys) == 2
    meter.now += HOUR
    assert len(sender.take()[0].keys) == 1


def test_what_can_not_be_decrypted_is_not_sent_and_not_lost_and_costs_no_other(meter, endpoint, sender, caplog):
    other = create_endpoint(meter)[0].row
    raise_one(meter)
    meter.execute("UPDATE webhook_secrets SET secret = 'x' WHERE endpoint_id = ?", endpoint.id)
    assert [each.endpoint_id for each in sender.take()] == [other.id]
    assert f"webhook endpoint {endpoint.id}" in caplog.text
    assert only(meter, endpoint).row.status == "pending"
    assert meter.count(webhook_attempts) == 0


def test_what_ends_after_its_endpoint_was_deleted_changes_nothing(meter, endpoint, sender):
    raise_one(meter)
    sent = sender.take()
    delete_webhook(meter.engine, endpoint.id, now=meter.now)
    sender.record(sent, TAKEN)
    assert meter.rows(select(webhook_attempts.c.status_code)) == [(204,)]
    assert sender.take() == []


def test_a_late_failure_does_not_take_a_success_back(meter, endpoint, sender):
    raise_one(meter)
    first = sender.take()
    meter.now += LEASE
    sender.record(sender.take(), TAKEN)
    sender.record(first, REFUSED)
    found = only(meter, endpoint)
    assert (found.row.status, len(found.attempts)) == ("delivered", 2)


def test_a_delivery_that_can_not_be_recorded_is_sent_again_with_its_id(meter, endpoint, sender):
    raise_one(meter)
    sent = sender.take()
    meter.now += LEASE  # nobody told the end
    assert [each.message for each in sender.take()] == [each.message for each in sent]


@pytest.mark.parametrize("column", ["disabled_at = 1, disabled_reason = 'asked'", "deleted_at = 1"])
def test_what_was_written_while_its_endpoint_was_being_disabled_is_not_sent(meter, endpoint, sender, column):
    raise_one(meter)
    meter.execute(f"UPDATE webhook_endpoints SET {column}")  # by a transaction that did not see the delivery
    assert sender.take() == []


@pytest.mark.only_on("postgresql")
def test_two_endpoints_are_disabled_beside_successes_to_both_and_nobody_waits_in_a_circle(meter, sender):
    endpoints = [create_endpoint(meter, f"https://{name}.example/")[0].row for name in ("one", "two")]
    for subject in ("first", "second", "third"):
        raise_one(meter, subject=subject)
    sent = sender.take()
    (one, *_, last_of_one), (two, second_of_two, _) = (
        sorted(each.delivery_id for each in sent if each.endpoint_id == endpoint.id) for endpoint in endpoints
    )
    assert one < two < second_of_two < last_of_one
    with ThreadPoolExecutor() as pool:
        with concurrent_write(meter.engine) as other:
            update_deliveries(other, [DeliveryUpdate(second_of_two, "delivered", 1, None, NOW)])
            gone = pool.submit(sender.record, [each for each in sent if each.delivery_id in (one, two)], GONE)
            wait_until_somebody_waits(meter.engine)
            update_deliveries(other, [DeliveryUpdate(last_of_one, "delivered", 1, None, NOW)])
        gone.result()
    found = [sorted(each.row.status for each in deliveries_of(meter, endpoint.id)) for endpoint in endpoints]
    assert [statuses.count("delivered") for statuses in found] == [1, 1]
    assert [statuses.count("pending") for statuses in found] == [0, 0]


def test_settings_in_a_log_tell_no_key():
    assert SECRET_KEY not in repr(webhook_settings())
