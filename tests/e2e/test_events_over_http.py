"""Events over HTTP: every content type, one outcome per item, nothing lost, no other account reachable."""

import json

import pytest

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"


def event(number=1, **overrides):
    return {
        "id": f"req-{number}",
        "time": "2026-11-03T10:00:00Z",
        "account": "acme",
        "provider": "together",
        "model": LLAMA,
        "route": "routed",
        "status": 200,
        "usage": {"input_tokens": 1_000_000},
    } | overrides


def cloud(number):
    return {
        "specversion": "1.0", "id": f"ce-{number}", "source": "gateway", "type": "inference.request", "subject": "acme",
        "time": "2026-11-03T10:00:00Z",
        "data": {key: event()[key] for key in ("provider", "model", "route", "status", "usage")},
    }  # fmt: skip


def ndjson(*events):
    return "".join(json.dumps(item) + "\n" for item in events)


@pytest.mark.parametrize(
    ("content_type", "body", "accepted"),
    [
        ("application/json", json.dumps(event()), 1),
        ("application/json", json.dumps([event(1), event(2)]), 2),
        ("application/x-ndjson", ndjson(event(1), event(2), event(3)), 3),
        ("application/cloudevents+json", json.dumps(cloud(1)), 1),
        ("application/cloudevents-batch+json", json.dumps([cloud(1), cloud(2)]), 2),
    ],
)
def test_every_content_type_is_accepted_and_counted_once(api, content_type, body, accepted):
    first = api.post("/v1/events", "writer", content=body, headers={"Content-Type": content_type})
    assert (first.status_code, first.json()["accepted"]) == (200, accepted)
    again = api.post("/v1/events", "writer", content=body, headers={"Content-Type": content_type})
    assert (again.json()["accepted"], again.json()["duplicate"]) == (0, accepted)
    spend = api.get("/v1/spend?start=2026-11-01T00:00:00Z&end=2026-12-01T00:00:00Z").json()
    assert spend["total"]["amount_nano_usd"] == accepted * 1_040_000_000


def test_an_openai_log_is_accepted_with_its_format_named(api):
    record = {
        "request": {"url": "https://router.huggingface.co/together/v1/chat/completions", "body": {"model": LLAMA}},
        "response": {
            "status": 200,
            "body": {"id": "chatcmpl-0123456789", "created": 1793872800, "model": LLAMA,
                     "usage": {"prompt_tokens": 1000, "cached_tokens": 600, "completion_tokens": 200}},
        },
    }  # fmt: skip
    answer = api.post(
        "/v1/events?format=openai", "acme", content=ndjson(record), headers={"Content-Type": "application/x-ndjson"}
    )
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    (stored,) = api.get("/v1/events?account=acme").json()["items"]
    assert {kind: stored["quantities"][kind] for kind in ("input_tokens", "cache_read_tokens", "output_tokens")} == {
        "input_tokens": 400,
        "cache_read_tokens": 600,
        "output_tokens": 200,
    }


def test_one_bad_item_never_costs_its_batch_and_is_reported_by_index_code_and_field(api):
    bad = event(2, usage={"input_tokens": -1})
    answer = api.post("/v1/events", json=[event(1), bad, event(3)]).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    (item,) = answer["items"]
    assert (item["index"], item["code"], item["id"]) == (1, "invalid_quantity", "req-2")
    (noted,) = api.get("/v1/quarantine", "admin").json()["items"]
    assert noted["code"] == "invalid_quantity"


def test_a_conflict_keeps_the_first_record(api):
    api.post("/v1/events", json=event())
    answer = api.post("/v1/events", json=event(usage={"input_tokens": 5})).json()
    assert (answer["accepted"], answer["conflict"]) == (0, 1)


def test_a_bound_key_writes_to_its_own_account_only(api):
    body = [event(1, account="acme"), event(2, account="other"), {k: v for k, v in event(3).items() if k != "account"}]
    answer = api.post("/v1/events", "acme", json=body).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert (answer["items"][0]["index"], answer["items"][0]["code"]) == (1, "account_mismatch")
    assert api.get("/v1/events", "other").json()["items"] == []


def test_pages_give_every_event_once(api):
    for start in range(0, 120, 40):
        api.post("/v1/events", json=[event(start + number) for number in range(40)])
    seen, cursor = [], None
    while True:
        page = api.get("/v1/events", params={"account": "acme", "limit": 17} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        api.post("/v1/events", json=event(f"late-{len(seen)}", time="2026-11-01T00:00:00Z"))
    original = [item for item in seen if "late" not in item]
    assert len(original) == len(set(original)) == 120


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        ("[" + "1," * 60_000 + "1]", {"Content-Type": "application/json"}, 413, "body_too_large"),
        (json.dumps([event(n) for n in range(51)]), {"Content-Type": "application/json"}, 413, "too_many_events"),
        ("a,b", {"Content-Type": "text/html"}, 415, "unsupported_media_type"),
        ('[{"id": ', {"Content-Type": "application/json"}, 400, "not_json"),
    ],
)
def test_an_invalid_body_is_a_problem_with_a_stable_code(api, content, headers, status, code):
    answer = api.post("/v1/events", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
