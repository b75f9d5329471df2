"""``metering webhooks``: manage endpoints, list deliveries, send again, test."""

import json
import time

import pytest
from standardwebhooks import Webhook

from metering.operations.steps.raise_alert import raise_alert
from metering.storage.alerts.alerts import NewAlert
from metering.storage.engine.database import exclusive_write, open_database
from support.receiver import receiver, refused

LOOPBACK = {"METERING_WEBHOOK_HTTP_HOSTS": "127.0.0.1", "METERING_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1"}
URL = "https://93.184.215.14/hooks"


@pytest.fixture
def shell(command_line):
    command_line.environment |= LOOPBACK
    return command_line


def alert(shell, subject="price_table:1"):
    engine = open_database(shell.environment["METERING_DATABASE_URL"])
    with exclusive_write(engine) as connection:
        raise_alert(connection, NewAlert("price.changed", subject, shell.now, json.dumps({"changes": 3})), now=shell.now)
    engine.dispose()


def test_the_secret_is_shown_once_alone_on_stdout(shell):
    secret = shell.done("webhooks", "create", URL, "--description", "on-call").strip()
    assert secret.startswith("whsec_")
    assert "created endpoint 1; the secret will not be shown again" in shell.errors
    for command in (("list",), ("show", "1"), ("deliveries", "1")):
        for as_json in ((), ("--json",)):
            assert secret not in shell.done("webhooks", *command, *as_json)
    assert shell.json("webhooks", "rotate", "1", "--overlap", "2")["secret"] != secret


def test_an_endpoint_is_listed_shown_changed_and_deleted(shell):
    shell.done("accounts", "create", "acme")
    shell.done("webhooks", "create", URL, "--type", "price.changed,budget.blocked", "--only-account", "acme")
    assert shell.done("webhooks", "list").splitlines()[2:] == [
        f" 1  {URL}  budget.blocked, price.changed  acme      enabled          0        0            0"
    ]
    assert shell.done("webhooks", "show", "1").splitlines() == [
        "endpoint    1",
        f"url         {URL} (standard)",
        "alerts      budget.blocked, price.changed",
        "accounts    acme",
        "status      enabled",
        "secrets     current (created 2026-12-05)",
        "deliveries  none yet",
        "created     2026-12-05",
    ]
    changed = shell.json("webhooks", "change", "1", "--all-types", "--all-accounts", "--disable")
    assert (changed["types"], changed["accounts"], changed["enabled"], changed["disabled_reason"]) == ([], [], False, "asked")
    assert "disabled (asked)" in shell.done("webhooks", "list")
    assert "disabled on 2026-12-05: on request" in shell.done("webhooks", "show", "1")
    assert shell.json("webhooks", "change", "1", "--enable", "--url", f"{URL}/new")["url"] == f"{URL}/new"
    assert shell.done("webhooks", "delete", "1") == "deleted endpoint 1\n"
    assert "no webhook endpoints; create one" in shell.done("webhooks", "list")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("create", "file:///etc/passwd"), "forbidden_address"),
        (("create", "http://169.254.169.254"), "forbidden_address"),
        (("create", "https://user:secret@93.184.215.14/"), "forbidden_address"),
        (("create", URL, "--type", "nonsense"), "invalid_webhook"),
        (("create", URL, "--account", "nobody"), "not_found"),
        (("show", "7"), "not_found"),
        (("test", "7"), "not_found"),
        (("deliveries", "7"), "not_found"),
        (("redeliver", "7"), "not_found"),
        (("change", "1", "--type", "price.changed", "--all-types"), "usage"),
        (("redeliver", "1", "2", "--status", "failed"), "usage"),
        (("rotate", "1", "--overlap", "1000"), "usage"),
    ],
)
def test_an_invalid_command_is_an_error_of_one_line(shell, arguments, code):
    shell.done("db", "upgrade")
    shell.run("webhooks", *arguments)
    assert shell.code == 2
    assert shell.errors.startswith(f"error[{code}]: ")
    assert "secret@" not in shell.errors


def test_a_test_is_sent_at_once_and_shows_its_response(shell):
    with receiver(refused("200 OK", b"thank you\n")) as hook:
        secret = shell.done("webhooks", "create", hook.url).strip()
        shell.now = time.time_ns() // 1_000
        shown = shell.done("webhooks", "test", "1")
    (request,) = hook.received
    assert Webhook(secret).verify(request.body, request.headers)["type"] == "webhook.test"
    assert shown.startswith(f"{request.id} was accepted: 200 after ")
    assert shown.endswith("response: thank you\n")


def test_a_refused_test_is_shown_and_logged(shell):
    with receiver(refused("500 Oh", b"\x1b[31mboom")) as hook:
        shell.done("webhooks", "create", hook.url)
        shown = shell.run("webhooks", "test", "1")
    assert shell.code == 1
    assert "was not accepted: the receiver returned 500 (refused)" in shown
    assert "\x1b" not in shown
    (row,) = shell.json("webhooks", "deliveries", "1")["items"]
    assert (row["status"], row["next_attempt_at"]) == ("pending", "2026-12-05T12:00:05.000000Z")
    (attempt,) = row["attempts"]
    assert (attempt["status_code"], attempt["error_code"], attempt["answer"]) == (500, "refused", "\ufffd[31mboom")


def test_deliveries_are_listed_and_redelivered(shell):
    shell.done("webhooks", "create", URL)
    assert "no matching deliveries" in shell.done("webhooks", "deliveries", "1")
    shell.done("webhooks", "change", "1", "--disable")
    alert(shell, "price_table:1")
    alert(shell, "price_table:2")
    line = shell.done("webhooks", "deliveries", "1", "--status", "held", "--limit", "1").splitlines()[2]
    assert line.split()[:6] == ["2", "price.changed", "2026-12-05", "12:00:00Z", "held", "0"]
    shell.run("webhooks", "redeliver", "1")
    assert (shell.code, "webhook_disabled" in shell.errors) == (2, True)
    shell.done("webhooks", "change", "1", "--enable")
    assert shell.done("webhooks", "redeliver", "1", "1") == "queued 1 delivery\n"
    assert shell.json("webhooks", "redeliver", "1", "--start", "2026-12-05") == {"deliveries": 1, "more": False}
    assert [row["status"] for row in shell.json("webhooks", "deliveries", "1")["items"]] == ["pending", "pending"]


def test_an_invalid_setting_is_an_error_that_reveals_no_secret(shell):
    for name, value in (("METERING_SECRET_KEY", "hunter2"), ("METERING_WEBHOOK_PRIVATE_HOSTS", "10.0.0.1/8")):
        shell.environment[name] = value
        shell.run("webhooks", "list")
        assert shell.errors.startswith("error[invalid_setting]: " + name)
        assert "hunter2" not in shell.errors
        del shell.environment[name]
