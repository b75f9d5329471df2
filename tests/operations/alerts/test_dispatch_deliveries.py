"""Due deliveries are claimed by one process at a time, within limits; the result of an attempt decides what happens next."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

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
from support.failing_commits import failing_commit
from support.row_locks import wait_until_blocked
from support.webhook_builders import (
    ACCEPTED,
    GONE,
    LEASE,
    NO_RESPONSE,
    REFUSED,
    SECRET_KEY,
    Sender,
    create_endpoint,
    deliveries_of,
    raise_one,
    webhook_settings,
)


@pytest.fixture
def endpoint(meter):
    return create_endpoint(meter)[0]


@pytest.fixture
def sender(meter):
    return Sender(meter)


def state(meter, endpoint):
    return show_webhook(meter.engine, endpoint.id, now=meter.now).endpoint


def only(meter, endpoint):
    (log,) = deliveries_of(meter, endpoint.id)
    return log


def test_a_claimed_delivery_cannot_be_claimed_again_before_its_lease_ends(meter, endpoint, sender):
    raise_one(meter)
    (claimed,) = sender.claim()
    assert (claimed.url, claimed.attempt, len(claimed.keys)) == ("https://hooks.example/", 1, 1)
    assert sender.claim() == []
    meter.now += LEASE - 1
    assert sender.claim() == []
    meter.now += 1
    (again,) = sender.claim()
    assert again == claimed  # the same id and body: the first process may have sent it


def test_a_released_claim_can_be_claimed_at_once(meter, endpoint, sender):
    raise_one(meter)
    (claimed,) = sender.claim()
    release_claims(meter.engine, [claimed.delivery_id], now=meter.now)
    assert sender.claim() == [claimed]


def test_a_success_finishes_a_delivery(meter, endpoint, sender):
    raise_one(meter)
    assert sender.send(ACCEPTED) == 1
    log = only(meter, endpoint)
    assert (log.delivery.status, log.delivery.tries, log.delivery.due_at, log.delivery.finished_at) == (
        "delivered",
        1,
        None,
        NOW,
    )
    (attempt,) = log.attempts
    assert (attempt.status_code, attempt.latency_ms, attempt.error_code, attempt.started_at) == (204, 12, "", NOW)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (REFUSED, "refused"),
        (NO_RESPONSE, "too_slow"),
        (PostResult(1, 302), "redirects"),
        (PostResult(1, 404), "refused"),
        (PostResult(1, 100), "refused"),
        (PostResult(1, None, "forbidden_address", "no"), "forbidden_address"),
    ],
)
def test_anything_else_is_a_failure_that_is_retried(meter, endpoint, sender, result, code):
    raise_one(meter)
    sender.send(result)
    log = only(meter, endpoint)
    assert (log.delivery.status, log.delivery.due_at) == ("pending", NOW + 5 * SECOND)
    assert [attempt.error_code for attempt in log.attempts] == [code]
    assert state(meter, endpoint).failing_since == NOW


def test_a_delivery_fails_after_ten_attempts_in_a_day(meter, endpoint, sender):
    raise_one(meter)
    at = []
    while (due := only(meter, endpoint).delivery.due_at) is not None:
        meter.now = due
        at.append(due - NOW)
        assert sender.send(REFUSED) == 1
    assert at == [0, 5 * SECOND, 300 * SECOND, 1800 * SECOND, *(n * HOUR for n in (2, 5, 10, 14, 20, 24))]
    log = only(meter, endpoint)
    assert (log.delivery.status, log.delivery.tries, len(log.attempts)) == ("failed", 10, 10)
    assert {attempt.answer for attempt in log.attempts} == {"oh no"}


def test_retry_after_is_honored_up_to_a_day(meter, endpoint, sender):
    raise_one(meter)
    sender.send(PostResult(1, 429, retry_after=3_600.0))
    assert only(meter, endpoint).delivery.due_at == NOW + HOUR
    meter.now += HOUR
    sender.send(PostResult(1, 503, retry_after=1e12))
    assert only(meter, endpoint).delivery.due_at == meter.now + DAY


def test_a_success_ends_the_failing_state_of_an_endpoint(meter, endpoint, sender):
    raise_one(meter)
    sender.send(REFUSED)
    meter.now += 5 * SECOND
    sender.send(ACCEPTED)
    assert state(meter, endpoint).failing_since is None


def test_410_disables_the_endpoint_holds_its_deliveries_and_alerts_others(meter, endpoint, sender):
    other, _ = create_endpoint(meter, "https://other.example/", types=("webhook.disabled",))
    raise_one(meter, subject="first")
    raise_one(meter, subject="second")
    sender.send(GONE, REFUSED)
    disabled = state(meter, endpoint)
    assert (disabled.disabled_at, disabled.disabled_reason) == (NOW, "gone")
    assert {each.delivery.status for each in deliveries_of(meter, endpoint.id)} == {"held"}
    assert sender.send(ACCEPTED) == 1  # the alert, to the other endpoint
    (log,) = deliveries_of(meter, other.id)
    assert (log.delivery.type, log.delivery.status) == ("webhook.disabled", "delivered")
    (alert,) = meter.rows(select(alerts).where(alerts.c.type == "webhook.disabled"))
    assert (alert.subject, alert.account_id) == (f"webhook:{endpoint.id}", None)
    assert json.loads(alert.data)["reason"] == "gone"


@pytest.mark.parametrize(("after", "disabled"), [(5 * DAY - 1, False), (5 * DAY, True)])
def test_an_endpoint_is_disabled_with_an_alert_after_five_days_of_failures(meter, endpoint, sender, after, disabled):
    raise_one(meter, subject="first")
    sender.send(REFUSED)
    meter.now = NOW + after
    raise_one(meter, subject="later")
    sender.send(REFUSED)
    after = state(meter, endpoint)
    assert (after.disabled_reason == "failing") is disabled
    assert after.failing_since == NOW
    assert meter.count(alerts, alerts.c.type == "webhook.disabled") == disabled


def test_disabling_an_account_s_endpoint_alerts_that_account_and_the_operator(meter, sender):
    endpoint = create_endpoint(meter, account="acme")[0]
    watching, theirs = create_endpoint(meter, account="acme")[0], create_endpoint(meter)[0]
    meter.declare("globex")
    foreign = create_endpoint(meter, account="globex")[0]
    raise_one(meter, account_id=2)
    claimed = sender.claim()
    sender.record([each for each in claimed if each.endpoint_id == endpoint.id], GONE)
    types = [[each.delivery.type for each in deliveries_of(meter, which.id)] for which in (watching, theirs, foreign)]
    assert types == [["budget.threshold_reached", "webhook.disabled"]] * 2 + [[]]


def test_an_enabled_endpoint_receives_what_it_missed_when_redelivered(meter, endpoint, sender):
    raise_one(meter, subject="first")
    sender.send(GONE)
    raise_one(meter, subject="missed")
    change_webhook(meter.engine, endpoint.id, EndpointChange(enabled=True), webhook_settings(), now=meter.now)
    assert sender.send(ACCEPTED) == 0
    # Both alerts, and the one that it was disabled.
    assert redeliver(meter.engine, DeliveryQuery(endpoint.id), now=meter.now).deliveries == 3
    assert sender.send(ACCEPTED) == 3
    # Disabling it again later raises another alert.
    meter.now += HOUR
    raise_one(meter, subject="third")
    sender.send(GONE)
    assert meter.count(alerts, alerts.c.type == "webhook.disabled") == 2


def test_one_endpoint_is_limited_and_does_not_delay_another(meter, endpoint):
    sender = Sender(meter, Concurrency(total=20, per_endpoint=4, per_failing_endpoint=1))
    other = create_endpoint(meter, types=("price.changed",))[0]
    for number in range(10):
        raise_one(meter, subject=f"a{number}")
    meter.now += 1
    raise_one(meter, type="price.changed", subject="b")
    claimed = sender.claim()
    assert sorted(each.endpoint_id for each in claimed) == [endpoint.id] * 4 + [other.id]
    assert sender.claim({endpoint.id: 4}) == []
    assert len(sender.claim({endpoint.id: 2})) == 2


def test_a_failing_endpoint_has_one_delivery_in_progress(meter, endpoint):
    sender = Sender(meter, Concurrency(total=20, per_endpoint=4, per_failing_endpoint=1))
    raise_one(meter, subject="first")
    sender.send(REFUSED)
    for number in range(10):
        raise_one(meter, subject=f"a{number}")
    assert len(sender.claim()) == 1


def test_there_is_a_limit_over_all_endpoints(meter):
    sender = Sender(meter, Concurrency(total=3, per_endpoint=2, per_failing_endpoint=1))
    for number in range(3):
        create_endpoint(meter, f"https://hooks{number}.example/")
    for number in range(4):
        raise_one(meter, subject=f"a{number}")
    assert len(sender.claim()) == 3
    assert sender.claim({7: 3}) == []


def test_a_message_is_signed_with_the_secrets_that_are_valid_when_it_is_sent(meter, endpoint, sender):
    rotate_webhook(meter.engine, endpoint.id, webhook_settings(), overlap_hours=1, now=meter.now)
    raise_one(meter)
    assert len(sender.claim(lease=1)[0].keys) == 2
    meter.now += HOUR
    assert len(sender.claim()[0].keys) == 1


def test_a_delivery_that_cannot_be_decrypted_is_kept_and_delays_no_other(meter, endpoint, sender, caplog):
    other = create_endpoint(meter)[0]
    raise_one(meter)
    meter.execute("UPDATE webhook_secrets SET secret = 'x' WHERE endpoint_id = ?", endpoint.id)
    assert [each.endpoint_id for each in sender.claim()] == [other.id]
    assert f"webhook endpoint {endpoint.id}" in caplog.text
    assert only(meter, endpoint).delivery.status == "pending"
    assert meter.count(webhook_attempts) == 0


def test_an_attempt_that_ends_after_its_endpoint_was_deleted_changes_nothing(meter, endpoint, sender):
    raise_one(meter)
    claimed = sender.claim()
    delete_webhook(meter.engine, endpoint.id, now=meter.now)
    sender.record(claimed, ACCEPTED)
    assert meter.rows(select(webhook_attempts.c.status_code)) == [(204,)]
    assert sender.claim() == []


def test_a_late_failure_does_not_undo_a_success(meter, endpoint, sender):
    raise_one(meter)
    first = sender.claim()
    meter.now += LEASE
    sender.record(sender.claim(), ACCEPTED)
    sender.record(first, REFUSED)
    log = only(meter, endpoint)
    assert (log.delivery.status, len(log.attempts)) == ("delivered", 2)


def test_a_delivery_without_a_recorded_attempt_is_sent_again_with_its_id(meter, endpoint, sender):
    raise_one(meter)
    claimed = sender.claim()
    meter.now += LEASE  # no attempt was recorded
    assert [each.message for each in sender.claim()] == [each.message for each in claimed]


def test_attempts_whose_commit_fails_are_recorded_once_by_the_next_call(meter, endpoint, sender):
    create_endpoint(meter, "https://other.example/", types=("webhook.disabled",))
    raise_one(meter)
    claimed = sender.claim()
    with failing_commit(meter.engine, "webhook_attempts") as failed, pytest.raises(OperationalError):
        sender.record(claimed, GONE)
    assert failed == ["webhook_attempts"]
    assert (state(meter, endpoint).disabled_at, meter.count(webhook_attempts)) == (None, 0)
    sender.record(claimed, GONE)
    assert (state(meter, endpoint).disabled_reason, meter.count(webhook_attempts)) == ("gone", 1)
    assert meter.count(alerts, alerts.c.type == "webhook.disabled") == 1


def test_a_claim_whose_commit_fails_leaves_the_delivery_due(meter, endpoint, sender):
    raise_one(meter)
    with failing_commit(meter.engine, "webhook_deliveries"), pytest.raises(OperationalError):
        sender.claim()
    assert len(sender.claim()) == 1


@pytest.mark.parametrize("column", ["disabled_at = 1, disabled_reason = 'asked'", "deleted_at = 1"])
def test_a_delivery_inserted_while_its_endpoint_is_being_disabled_is_not_sent(meter, endpoint, sender, column):
    raise_one(meter)
    meter.execute(f"UPDATE webhook_endpoints SET {column}")  # by a transaction that does not see the delivery
    assert sender.claim() == []


@pytest.mark.only_on("postgresql")
def test_disabling_two_endpoints_does_not_deadlock_with_successes_to_both(meter, sender):
    endpoints = [create_endpoint(meter, f"https://{name}.example/")[0] for name in ("one", "two")]
    for subject in ("first", "second", "third"):
        raise_one(meter, subject=subject)
    claimed = sender.claim()
    (one, *_, last_of_one), (two, second_of_two, _) = (
        sorted(each.delivery_id for each in claimed if each.endpoint_id == endpoint.id) for endpoint in endpoints
    )
    assert one < two < second_of_two < last_of_one
    with ThreadPoolExecutor() as pool:
        with concurrent_write(meter.engine) as other:
            update_deliveries(other, [DeliveryUpdate(second_of_two, "delivered", 1, None, NOW)])
            gone = pool.submit(sender.record, [each for each in claimed if each.delivery_id in (one, two)], GONE)
            wait_until_blocked(meter.engine)
            update_deliveries(other, [DeliveryUpdate(last_of_one, "delivered", 1, None, NOW)])
        gone.result()
    by_endpoint = [sorted(each.delivery.status for each in deliveries_of(meter, endpoint.id)) for endpoint in endpoints]
    assert [statuses.count("delivered") for statuses in by_endpoint] == [1, 1]
    assert [statuses.count("pending") for statuses in by_endpoint] == [0, 0]


def test_settings_in_a_log_reveal_no_key():
    assert SECRET_KEY not in repr(webhook_settings())
