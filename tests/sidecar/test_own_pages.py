"""The sidecar's own pages, its counts, and its bound on connections."""

import pytest

from support.canned_answers import MODEL, NO_CREDITS, chat
from support.raw_client import RawClient, request_bytes
from support.serving_process import until
from support.upstream_server import json_answer

PATH = "/v1/chat/completions"


@pytest.fixture
def client(sidecar):
    with sidecar.client() as made:
        yield made


def test_liveness_and_readiness_are_answered_without_the_upstream(client, upstream):
    assert client.get("/-/healthz").json() == {"status": "ok"}
    ready = client.get("/-/readyz")
    assert (ready.status_code, ready.json()["ready"], ready.json()["dropped_events"]) == (200, True, 0)
    assert upstream.received == []


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/-/other", 404), ("POST", "/-/metrics", 405), ("GET", "/-/", 404)]
)
def test_other_paths_and_methods_are_errors_and_the_connection_goes_on(client, upstream, method, path, status):
    for _ in range(2):
        assert client.request(method, path, content=b"abc" if method == "POST" else b"").status_code == status
    assert client.get("/-/healthz").status_code == 200
    assert upstream.received == []


def test_requests_and_tokens_are_counted_by_provider_and_model(start_sidecar, upstream):
    sidecar = start_sidecar(upstream.url)
    reported = {"prompt_tokens": 3, "completion_tokens": 4, "estimated_cost": 0.25}
    upstream.script(json_answer(chat()), json_answer(chat(usage=reported)), NO_CREDITS)
    with sidecar.client() as client:
        for _ in range(3):
            client.post(PATH, json={"model": f"{MODEL}:together", "messages": []})
        client.get("/v1/models")
    counts = sidecar.metrics()
    labels = (("model", MODEL), ("provider", "together"))
    assert counts["sidecar_requests_total", *labels, ("status", "2xx")] == 2
    assert counts["sidecar_requests_total", *labels, ("status", "4xx")] == 1
    # 1,200 of the first are partly read from a cache.
    assert counts["sidecar_tokens_total", ("kind", "input"), *labels] == 1_200 + 3
    assert counts["sidecar_tokens_total", ("kind", "output"), *labels] == 250 + 4
    assert counts["sidecar_reported_cost_usd_total", *labels] == 0.25
    assert counts["sidecar_added_seconds_count",] == 4
    until(lambda: sidecar.metrics()["sidecar_shipping",] == 1)


def test_a_connection_past_the_bound_is_asked_to_come_back(start_sidecar, upstream):
    sidecar = start_sidecar(upstream.url, max_clients="2")
    request = request_bytes(body={"model": MODEL, "messages": []})
    with RawClient(sidecar.port) as first, RawClient(sidecar.port) as second:
        for each in (first, second):
            each.send(request)
            assert each.response().status == 200
        with RawClient(sidecar.port) as third:
            third.send(request)
            response = third.response()
            assert (response.status, response.code, response.header("retry-after")) == (503, "too_many_connections", "1")
        first.send(request)
        assert first.response().status == 200
    until(lambda: sidecar.metrics()["sidecar_clients",] <= 1)
    with RawClient(sidecar.port) as client:
        client.send(request)
        assert client.response().status == 200
