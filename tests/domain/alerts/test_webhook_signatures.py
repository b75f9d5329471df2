"""The Standard Webhooks library accepts our signatures and rejects modified messages."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from metering.domain.alerts.webhook_signatures import format_secret, new_message_id, new_secret, signed_headers

BODY = '{"type":"price.changed","data":{"name":"Zürich ₿"}}'.encode()


@pytest.fixture
def secret():
    return new_secret()


def signed(*secrets, at=None, name="msg_1"):
    return signed_headers(name, int(time.time()) if at is None else at, BODY, secrets)


def test_the_reference_library_accepts_our_signature_over_utf8(secret):
    assert Webhook(format_secret(secret)).verify(BODY, signed(secret)) == {
        "type": "price.changed",
        "data": {"name": "Zürich ₿"},
    }


def test_the_signature_matches_the_example_of_the_specification():
    # Secret, id, time, body and signature are from the reference tests of the specification.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "webhook-signature", "body"])
def test_a_modified_body_id_time_or_signature_is_rejected(secret, changed):
    headers, body = signed(secret), BODY
    if changed == "body":
        body = BODY.replace(b"price", b"Price")
    elif changed == "webhook-timestamp":
        headers[changed] = str(int(headers[changed]) + 1)
    else:
        # The fourth character: the last one of a base64 text has unused bits.
        value = headers[changed]
        headers[changed] = f"{value[:3]}{'A' if value[3] != 'A' else 'B'}{value[4:]}"
    with pytest.raises(WebhookVerificationError):
        Webhook(format_secret(secret)).verify(body, headers)


def test_an_old_message_is_rejected(secret):
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(format_secret(secret)).verify(BODY, signed(secret, at=int(time.time()) - 301))


def test_while_a_secret_is_replaced_both_secrets_verify_the_message_and_a_third_does_not(secret):
    other = new_secret()
    headers = signed(secret, other)
    assert len(headers["webhook-signature"].split(" ")) == 2
    for each in (secret, other):
        assert Webhook(format_secret(each)).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(format_secret(new_secret())).verify(BODY, headers)


def test_a_secret_has_the_length_and_format_of_the_specification(secret):
    shown = format_secret(secret)
    assert shown.startswith("whsec_")
    assert 24 <= len(base64.b64decode(shown.removeprefix("whsec_"), validate=True)) <= 64
    assert new_secret() != secret


def test_message_ids_are_unique():
    assert len({new_message_id() for _ in range(1_000)}) == 1_000
    assert new_message_id().startswith("msg_")
