"""Errors are problems: one form, a stable code, nothing of the request's content and no internal details."""

import importlib
import logging
import pkgutil
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from starlette.testclient import TestClient

import metering
import pricing
from metering.api.accounts import accounts
from metering.domain.errors import DomainError, InvalidTimeError, LogFormatError
from metering.web.problems import PROBLEMS
from pricing.errors import PricingError
from support.every_call import EVERY_CALL, WITH_A_KEY, send
from support.for_each import for_each
from support.native_events import native

MEMBERS = {"type", "title", "status", "detail", "code", "instance"}


def subclasses(of: type[Any]) -> set[type[Any]]:
    return {of}.union(*(subclasses(each) for each in of.__subclasses__()))


def test_every_error_of_the_domain_has_a_status():
    for package in (metering, pricing):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.startswith(("metering.migrations", "pricing.data.generate", "metering.__main__")):
                importlib.import_module(module.name)
    # What the command line or the sidecar alone raises never gets here.
    elsewhere = ("metering.cli.", "metering.sidecar.")
    errors = [each for each in subclasses(DomainError) | subclasses(PricingError) if not each.__module__.startswith(elsewhere)]
    codes = {each.code for each in errors if isinstance(getattr(each, "code", None), str)}
    # Given to InvalidTimeError and LogFormatError where they are raised; what is wrong with a file never gets here.
    raised_directly = {"naive_time", "ambiguous_time", "implausible_time", "not_json", "empty_file", "missing_column"}
    assert InvalidTimeError("x", "naive_time").code in raised_directly
    assert LogFormatError.code in codes
    assert codes | raised_directly <= PROBLEMS.keys()


@for_each(
    "method, path, status, code",
    [
        ("GET", "/", 404, "unknown_route"),
        ("GET", "/v1", 404, "unknown_route"),
        ("GET", "/v1/accounts/", 404, "unknown_route"),
        ("GET", "/docs", 404, "unknown_route"),
        ("GET", "/redoc", 404, "unknown_route"),
        ("GET", "/v1/keys/000000000000", 405, "method_not_allowed"),
        ("PUT", "/v1/events", 405, "method_not_allowed"),
        ("DELETE", "/v1/spend", 405, "method_not_allowed"),
        ("BREW", "/v1/spend", 405, "method_not_allowed"),
        ("GET", "/v1/accounts/nobody", 404, "not_found"),
    ],
)
def test_unknown_paths_and_methods_are_problems(refused, method, path, status, code):
    answer = refused.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem.keys() == MEMBERS
    assert (problem["instance"], problem["type"]) == (path, f"urn:hf-metering:problem:{code}")
    assert ("allow" in answer.headers) == (status == 405)


def test_the_instance_is_escaped(refused):
    answer = refused.get("/v1/accounts/a%0Ab%22%3Cc%3E")
    assert answer.json()["instance"] == "/v1/accounts/a%0Ab%22%3Cc%3E"


def not_to_be_kept(answer):
    return (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.fixture
def without_key(api):
    return api.client()


@for_each("call", EVERY_CALL)
def test_no_answer_is_cached_or_sniffed(admin, without_key, call):
    assert not_to_be_kept(send(admin, call))
    assert not_to_be_kept(send(without_key, call))


def test_neither_the_document_nor_a_404_is_cached_or_sniffed(refused):
    assert not_to_be_kept(refused.get("/openapi.json"))
    assert not_to_be_kept(refused.get("/nowhere"))


BODIES = [call for call in WITH_A_KEY if call.body and call.operation != "ingest_events"]


@for_each("call", BODIES)
def test_an_invalid_body_is_reported_by_field_and_never_repeated(refused, call):
    sent = {name: {"secret": 1} for name in call.body} | {"the-secret-field": "the secret value"}
    answer = send(refused, call._replace(body=sent))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_request")
    assert {each["field"] for each in problem["errors"]} >= {"body.the-secret-field", *(f"body.{name}" for name in call.body)}
    assert "secret value" not in answer.text


@for_each("call", BODIES)
@for_each("body", [b"{", b"", b"\xff", b"[" * 20_000, b"9" * 5_000, b'"\\ud800"', b'{"a":NaN}', b"nul"])
def test_a_body_that_is_not_a_json_object_is_refused(refused, call, body):
    answer = refused.request(call.method, call.path.format("acme"), content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("not_json", "invalid_request", "malformed_request")


@for_each("call", BODIES)
def test_only_uncompressed_json_is_accepted(refused, call):
    for headers in ({"content-type": "text/plain"}, {}, {"content-type": "application/json", "content-encoding": "gzip"}):
        answer = refused.request(call.method, call.path.format("acme"), content=b"{}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@for_each("call", BODIES)
def test_a_small_document_has_a_small_limit(refused, call):
    # Ten thousand ids are no small document.
    size = 5_000_000 if call.operation == "answer_billing" else 70_000
    answer = send(refused, call._replace(body={"name": "x" * size}))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def chunks(size):
    for _ in range(size // 1_000):
        yield b" " * 1_000


@for_each("path", ["/v1/events", "/v1/accounts"])
def test_a_body_without_a_length_is_counted_while_it_arrives(refused, path):
    answer = refused.post(path, content=chunks(100_000), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["content-type"] == "application/problem+json"


def broken(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(accounts, "list_accounts", fail)


def test_an_unexpected_error_is_logged_and_answered_without_details(api, admin, monkeypatch, caplog):
    broken(monkeypatch, RuntimeError("the inside"))
    with caplog.at_level(logging.ERROR):
        answer = TestClient(api.app, headers=admin.headers, raise_server_exceptions=False).get("/v1/accounts")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "inside" not in answer.text
    assert "the inside" in caplog.text


def test_a_failed_statement_is_logged_without_its_parameters(api, admin, monkeypatch, caplog):
    broken(
        monkeypatch, IntegrityError("INSERT INTO t VALUES (?)", ("what was sent",), Exception("UNIQUE constraint failed: t.x"))
    )
    with caplog.at_level(logging.INFO):
        answer = admin.get("/v1/accounts")
    assert answer.status_code == 500
    assert "UNIQUE constraint failed" in caplog.text
    assert "what was sent" not in answer.text + caplog.text


def test_an_unreachable_database_is_503_and_logged_without_the_request(admin, monkeypatch, caplog):
    broken(monkeypatch, OperationalError("INSERT ...", ("what was sent",), Exception("database is locked")))
    with caplog.at_level(logging.INFO):
        answer = admin.get("/v1/accounts")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert "what was sent" not in answer.text + caplog.text


def test_no_secret_is_logged(api, caplog):
    token = api.token("admin")
    with caplog.at_level(logging.DEBUG):
        client = api.client()
        client.headers["authorization"] = f"Bearer {token}"
        client.post("/v1/events", json=native(prompt="a secret"))
        client.post("/v1/events", json=native(time="a secret", tags="a secret"))
        client.get("/v1/accounts?a=secret")
        client.headers["authorization"] = f"Bearer {token}x"
        client.get("/v1/accounts")
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore")))
    assert token not in ours
    assert "secret" not in ours


def test_nothing_is_sent_to_a_telemetry_provider(api):
    assert api.app._native_telemetry.enabled() is False
    assert not any(api.app._telemetry[name] for name in ("tracing", "metrics", "logs", "operation_spans", "auto_configure"))
