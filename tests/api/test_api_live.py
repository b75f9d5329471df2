"""A real server and real HTTP, for behavior that an in-process test client does not show."""

import json
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from support.api_limits import BODY_BYTES
from support.native_events import native

JSON = {"content-type": "application/json"}


def test_one_story_from_a_key_to_a_statement(live, api):
    assert live.get("/readyz").json()["status"] == "ready"
    assert live.post("/v1/accounts", json={"name": "initech", "default_route": "routed"}).status_code == 201
    assert live.post("/v1/accounts/initech/plan", json={"plan": "pro", "effective": "2026-11-01"}).status_code == 201
    key = live.post("/v1/keys", json={"name": "gateway", "scopes": ["ingest", "read"], "account": "initech"}).json()
    gateway = {"authorization": f"Bearer {key['token']}"}
    # 27 requests of a million input tokens at $1.00 per million, no account and no route stated
    sent = [native(f"r{n}", account=None, route=None, usage={"input_tokens": 1_000_000}) for n in range(27)]
    body = b"\n".join(json.dumps(event).encode() for event in sent)
    answer = live.post("/v1/events", content=body, headers={**gateway, "content-type": "application/x-ndjson"})
    assert answer.json()["accepted"] == 27
    assert live.get("/v1/spend", headers=gateway).json()["total"]["amount_usd"] == "27.000000000"
    assert len(live.get("/v1/events?limit=20", headers=gateway).json()["items"]) == 20
    assert live.get("/v1/credits", headers=gateway).json()["applied_usd"] == "2.000000000"
    statement = live.get("/v1/statements/initech/2026-11", headers=gateway).json()
    # $27.00 - $2.00 + $9.00
    assert statement["total_usd"] == "34.00"
    assert live.delete(f"/v1/keys/{key['prefix']}").status_code == 204
    assert live.get("/v1/spend", headers=gateway).status_code == 401
    assert api.meter.violations() == []


def test_representations_are_negotiated(live):
    url = "/v1/statements/acme/2026-11"
    answer = live.get(url, headers={"accept": "text/csv;q=0.9, application/json;q=0.1"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.text == live.get(f"{url}.csv").text
    assert live.get(url).json()["account"] == "acme"
    refused = live.get(url, headers={"accept": "image/png"})
    assert (refused.status_code, refused.headers["content-type"]) == (406, "application/problem+json")


def test_a_name_with_a_percent_sign_is_decoded_once(live):
    assert live.post("/v1/accounts", json={"name": "%41"}).status_code == 201
    assert live.get("/v1/accounts/%2541").json()["name"] == "%41"
    assert live.get("/v1/accounts/%41").status_code == 404


def chunks(size):
    for _ in range(0, size, 1_000):
        yield b" " * 1_000


@pytest.mark.parametrize("size", [BODY_BYTES + 1_000, 3_000_000])
@pytest.mark.parametrize("send", [lambda size: b" " * size, chunks], ids=["announced", "chunked"])
def test_a_body_that_is_too_large_is_answered_before_the_connection_ends(live, size, send):
    answer = live.post("/v1/events", content=send(size), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert live.post("/v1/events", json=native()).json()["accepted"] == 1


def test_a_client_that_disconnects_within_its_body_stores_nothing(live, api):
    address = urlsplit(str(live.base_url))
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {live.headers['authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head.encode() + json.dumps(native()).encode())
    assert live.get("/healthz").status_code == 200
    assert live.get("/v1/events?account=acme").json()["items"] == []


def test_concurrent_clients_count_every_event_once(live, api):
    answers: list[httpx.Response] = []

    def send(client: int) -> None:
        for batch in range(4):
            # Two clients each send the same IDs: for one of them they are duplicates.
            events = [native(f"{client // 2}-{batch}-{n}") for n in range(10)]
            answers.append(
                httpx.post(f"{live.base_url}/v1/events", json=events, headers=dict(live.headers), timeout=30, verify=False)
            )

    threads = [threading.Thread(target=send, args=(client,)) for client in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 24
    assert sum(answer.json()["accepted"] for answer in answers) == 120
    assert sum(answer.json()["duplicate"] for answer in answers) == 120
    assert live.get("/v1/spend?account=acme").json()["total"]["amount_nano_usd"] == 120 * 120_000
    assert api.meter.violations() == []
