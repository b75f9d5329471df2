"""Endpoints are created, changed, rotated and deleted by their owners; their secrets and URLs are encrypted at rest."""

from itertools import product

import pytest
from sqlalchemy import text

from metering.domain.alerts.webhook_deliveries import DeliveryQuery
from metering.domain.alerts.webhooks import WebhookDisabledError, WebhookError
from metering.domain.errors import DomainError, NotFoundError
from metering.operations.alerts.list_deliveries import list_deliveries
from metering.operations.alerts.manage_webhooks import (
    EndpointChange,
    NewEndpoint,
    change_webhook,
    create_webhook,
    delete_webhook,
    list_webhooks,
    rotate_webhook,
    show_webhook,
)
from metering.operations.alerts.redeliver import redeliver, redeliver_one
from metering.operations.alerts.send_test_message import request_test
from metering.outbound.addresses import AddressError
from metering.storage.alerts.secret_box import SecretBox
from metering.storage.tables import webhook_secrets
from support.builders import HOUR, NOW
from support.webhook_builders import ACCEPTED, SECRET_KEY, Sender, create_endpoint, deliveries_of, raise_one, webhook_settings

ACME = 2
SETTINGS = webhook_settings(inner_example="127.0.0.1", both_example=["93.184.215.14", "10.0.0.1"])


def create(meter, url="https://hooks.example/", **fields):
    return create_webhook(meter.engine, NewEndpoint(url, **fields), SETTINGS, now=meter.now)


def change(meter, endpoint_id, owner=None, **fields):
    return change_webhook(meter.engine, endpoint_id, EndpointChange(**fields), SETTINGS, owner=owner, now=meter.now)


def test_secrets_and_urls_are_encrypted_in_the_database(meter):
    _, secret = create(meter, "https://hooks.slack.com/services/T0/B0/xyz", format="slack")
    everything = str([meter.rows(text(f"SELECT * FROM {name}")) for name in ("webhook_secrets", "webhook_endpoints")])
    assert "T0/B0" not in everything
    assert secret.removeprefix("whsec_") not in everything
    (row,) = meter.rows(webhook_secrets.select())
    assert len(SecretBox([SECRET_KEY]).decrypt(row.secret)) == 32


def test_the_url_of_a_slack_webhook_is_not_shown_again(meter):
    slack, _ = create(meter, "https://hooks.slack.com/services/T0/B0/xyz?k=v", format="slack")
    plain, _ = create(meter, "https://hooks.example/a?b=c")
    assert slack.endpoint.shown_url == "https://hooks.slack.com/…"
    assert plain.endpoint.shown_url == "https://hooks.example/a?b=c"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://169.254.169.254", "http://[::1]", "https://inner.example/",
                                 "https://both.example/"])  # fmt: skip
def test_an_internal_url_is_refused(meter, url):
    with pytest.raises(AddressError):
        create(meter, url)
    created, _ = create(meter)
    with pytest.raises(AddressError):
        change(meter, created.endpoint.id, url=url)
    assert [each.endpoint.shown_url for each in list_webhooks(meter.engine, now=NOW)] == ["https://hooks.example/"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"types": ("budget.reached",)}, WebhookError),
        ({"format": "xml"}, WebhookError),
        ({"description": "a\nb"}, WebhookError),
        ({"description": "x" * 201}, WebhookError),
        ({"account": "acme", "accounts": ("acme",)}, WebhookError),
        ({"account": "nobody"}, NotFoundError),
        ({"accounts": ("nobody",)}, NotFoundError),
    ],
)
def test_an_invalid_endpoint_is_refused_and_nothing_is_created(meter, fields, error):
    with pytest.raises(error):
        create(meter, **fields)
    assert list_webhooks(meter.engine, now=NOW) == []


def test_fields_that_are_left_out_keep_their_value(meter):
    before, _ = create(meter, types=("price.changed",), accounts=("acme",), description="mine")
    assert change(meter, before.endpoint.id) == before
    after = change(meter, before.endpoint.id, types=(), accounts=(), description="")
    assert (after.endpoint.filter.types, after.accounts, after.endpoint.description) == (frozenset(), [], "")
    with pytest.raises(WebhookError):
        change(meter, create(meter, account="acme")[0].endpoint.id, accounts=("acme",))


def test_the_next_attempt_goes_to_a_new_url(meter):
    created, _ = create(meter)
    raise_one(meter)
    change(meter, created.endpoint.id, url="https://other.example/")
    assert [each.url for each in Sender(meter).claim()] == ["https://other.example/"]


def test_the_last_rotation_limits_all_previous_secrets(meter):
    created, _ = create(meter)
    rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=48, now=meter.now)
    meter.now += HOUR
    rotated, _ = rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=2, now=meter.now)
    assert [each.expires_at for each in rotated.secrets] == [None, NOW + 3 * HOUR, NOW + 3 * HOUR]
    rotated, _ = rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=0, now=meter.now)
    assert [each.expires_at for each in rotated.secrets] == [None]
    assert meter.count(webhook_secrets) == 1


def test_a_rotation_does_not_extend_a_secret_that_expires_earlier(meter):
    created, _ = create(meter)
    rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=1, now=meter.now)
    rotated, _ = rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=24, now=meter.now)
    assert [each.expires_at for each in rotated.secrets] == [None, NOW + 24 * HOUR, NOW + HOUR]


def test_after_the_overlap_the_previous_secret_is_deleted(meter):
    created, first = create(meter)
    rotated, second = rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=2, now=meter.now)
    assert first != second
    assert [each.expires_at for each in rotated.secrets] == [None, NOW + 2 * HOUR]
    meter.now += 2 * HOUR
    assert len(show_webhook(meter.engine, created.endpoint.id, now=meter.now).secrets) == 1
    rotated, _ = rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=0, now=meter.now)
    assert len(rotated.secrets) == meter.count(webhook_secrets) == 1


def test_at_most_five_secrets_are_valid_at_once(meter):
    created, _ = create(meter)
    for _ in range(4):
        rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, now=meter.now)
    with pytest.raises(WebhookError, match="5 secrets"):
        rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, now=meter.now)
    rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=0, now=meter.now + 24 * HOUR)
    for hours in (-1, 169):
        with pytest.raises(WebhookError):
            rotate_webhook(meter.engine, created.endpoint.id, SETTINGS, overlap_hours=hours, now=meter.now)


def test_an_account_and_the_operator_have_a_limit_on_endpoints(meter, monkeypatch):
    monkeypatch.setattr("metering.operations.alerts.manage_webhooks.MAX_ENDPOINTS", 2)
    for account in ("acme", None):
        first, _ = create(meter, account=account)
        create(meter, account=account)
        with pytest.raises(WebhookError, match="already 2 endpoints"):
            create(meter, account=account)
        delete_webhook(meter.engine, first.endpoint.id, now=meter.now)
        create(meter, account=account)


def test_deleting_an_endpoint_deletes_its_secrets_cancels_deliveries_and_keeps_the_log(meter):
    created, _ = create(meter)
    raise_one(meter, subject="a")
    Sender(meter).send(ACCEPTED)
    raise_one(meter, subject="b")
    delete_webhook(meter.engine, created.endpoint.id, now=meter.now)
    assert list_webhooks(meter.engine, now=NOW) == []
    assert meter.count(webhook_secrets) == 0
    assert [row.status for row in meter.rows(text("SELECT status FROM webhook_deliveries ORDER BY id"))] == [
        "delivered",
        "cancelled",
    ]
    with pytest.raises(NotFoundError):
        delete_webhook(meter.engine, created.endpoint.id, now=meter.now)


def test_for_a_bound_caller_other_endpoints_do_not_exist(meter):
    meter.declare("globex")
    own = create(meter, account="acme")[0].endpoint.id
    others = [create(meter, account="globex")[0].endpoint.id, create(meter)[0].endpoint.id]
    assert [each.endpoint.id for each in list_webhooks(meter.engine, owner=ACME, now=NOW)] == [own]
    show_webhook(meter.engine, own, owner=ACME, now=NOW)
    calls = (
        lambda endpoint: show_webhook(meter.engine, endpoint, owner=ACME, now=NOW),
        lambda endpoint: change(meter, endpoint, owner=ACME, enabled=False),
        lambda endpoint: rotate_webhook(meter.engine, endpoint, SETTINGS, owner=ACME, now=NOW),
        lambda endpoint: delete_webhook(meter.engine, endpoint, owner=ACME, now=NOW),
        lambda endpoint: list_deliveries(meter.engine, DeliveryQuery(endpoint), owner=ACME, limit=1),
        lambda endpoint: redeliver(meter.engine, DeliveryQuery(endpoint), owner=ACME, now=NOW),
        lambda endpoint: redeliver_one(meter.engine, endpoint, 1, owner=ACME, now=NOW),
        lambda endpoint: request_test(meter.engine, endpoint, owner=ACME, now=NOW),
    )
    for call, endpoint in product(calls, [*others, 999]):
        with pytest.raises(NotFoundError, match=f"there is no webhook endpoint {endpoint}"):
            call(endpoint)
    assert len(list_webhooks(meter.engine, now=NOW)) == 3


def test_a_redelivery_keeps_its_id_and_starts_over_at_the_first_attempt(meter):
    created, _ = create(meter)
    raise_one(meter)
    sender = Sender(meter)
    (first,) = sender.claim()
    sender.record([first], ACCEPTED)
    redeliver_one(meter.engine, created.endpoint.id, first.delivery_id, now=meter.now)
    (again,) = sender.claim()
    assert again == first
    sender.record([again], ACCEPTED)
    (log,) = deliveries_of(meter, created.endpoint.id)
    assert (log.delivery.status, log.delivery.tries, len(log.attempts)) == ("delivered", 1, 2)


def test_deliveries_are_redelivered_by_creation_time_and_status(meter):
    created, _ = create(meter)
    sender = Sender(meter)
    for number in range(4):
        raise_one(meter, subject=f"{number}")
        meter.now += HOUR
    sender.send(ACCEPTED)
    query = DeliveryQuery(created.endpoint.id, start=NOW + HOUR, end=NOW + 3 * HOUR)
    assert redeliver(meter.engine, query, now=meter.now).deliveries == 0
    result = redeliver(meter.engine, query._replace(statuses=("delivered",)), now=meter.now)
    assert (result.deliveries, result.more) == (2, False)
    assert [each.delivery.status for each in deliveries_of(meter, created.endpoint.id)] == [
        "delivered",
        "pending",
        "pending",
        "delivered",
    ]
    with pytest.raises(WebhookError):
        redeliver(meter.engine, query._replace(statuses=("pending",)), now=meter.now)


def test_a_disabled_endpoint_allows_no_redelivery_and_no_test(meter):
    created, _ = create(meter)
    raise_one(meter)
    change(meter, created.endpoint.id, enabled=False)
    for refused in (
        lambda: redeliver(meter.engine, DeliveryQuery(created.endpoint.id), now=NOW),
        lambda: redeliver_one(meter.engine, created.endpoint.id, 1, now=NOW),
        lambda: request_test(meter.engine, created.endpoint.id, now=NOW),
    ):
        with pytest.raises(WebhookDisabledError):
            refused()


def test_a_delivery_of_another_endpoint_is_not_found(meter):
    first, second = create(meter)[0].endpoint.id, create(meter, types=("price.changed",))[0].endpoint.id
    raise_one(meter)
    (delivery,) = deliveries_of(meter, first)
    with pytest.raises(NotFoundError):
        redeliver_one(meter.engine, second, delivery.delivery.id, now=NOW)


def test_a_test_is_sent_whatever_the_filter_and_only_to_its_endpoint(meter):
    first = create(meter, types=("price.changed",), account="acme")[0].endpoint.id
    create(meter)
    delivery = request_test(meter.engine, first, now=NOW).delivery
    assert (delivery.type, delivery.alert_id, delivery.status) == ("webhook.test", None, "pending")
    assert [each.endpoint_id for each in Sender(meter).claim()] == [first]


def test_deliveries_are_listed_by_page_status_type_and_time(meter):
    endpoint = create_endpoint(meter)[0].id
    for number in range(5):
        raise_one(meter, subject=f"{number}", type="price.changed" if number % 2 else "budget.blocked")
        meter.now += HOUR

    def listed(before=None, limit=10, **filters):
        query = DeliveryQuery(endpoint, **filters)
        return [each.delivery.id for each in list_deliveries(meter.engine, query, before=before, limit=limit)]

    assert listed() == [5, 4, 3, 2, 1]
    assert listed(limit=2) == [5, 4]
    assert listed(before=4, limit=2) == [3, 2]
    assert listed(type="price.changed") == [4, 2]
    assert listed(start=NOW + HOUR, end=NOW + 3 * HOUR) == [3, 2]
    assert listed(statuses=("delivered",)) == []
    with pytest.raises(DomainError, match="pending, delivered"):
        listed(statuses=("lost",))
