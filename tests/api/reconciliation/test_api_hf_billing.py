"""A partner that runs this service answers Hugging Face's Billing API: known costs only, and the first answer is final."""

import pytest

from metering.domain.usage.events import QuantityGrade
from metering.storage.tables import billing_answers
from support.builders import HOUR, SECOND, price_table, rate, usage_event

CHARGE = 120_000


def ask(client, *ids):
    answer = client.post("/v1/hf-billing", json={"requestIds": list(ids)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def costs(client, *ids):
    return {each["requestId"]: each["costNanoUsd"] for each in ask(client, *ids)["requests"] or []}


@pytest.fixture
def partner(api):
    """Return Hugging Face's client, bound to the account that it routes for."""
    return api.client("billing", account="acme")


def ingest(api, **fields):
    api.meter.ingest(usage_event(time=api.meter.now - 60 * SECOND, **fields))


def test_the_answer_has_the_documented_form(api, partner):
    ingest(api, id="deadbeef0")
    assert ask(partner, "deadbeef1", "deadbeef0") == {"requests": [{"requestId": "deadbeef0", "costNanoUsd": CHARGE}]}
    assert ask(partner, "deadbeef1") == {"requests": None}
    assert ask(partner) == {"requests": None}


def test_a_request_id_is_the_events_own_or_one_of_the_response(api, partner):
    ingest(api, id="own-1", inference_id="inference-000001", response_id="response-00000001")
    for name in ("own-1", "inference-000001", "response-00000001"):
        assert costs(partner, name, name) == {name: CHARGE}


def test_requests_without_a_known_cost_that_hugging_face_bills_are_left_out(api, partner):
    ingest(api, id="unpriced", model="no-price")
    ingest(api, id="estimated", quantity_grade=QuantityGrade.ESTIMATED)
    ingest(api, id="own-key", route="provider_key")
    ingest(api, id="no-route", route="")
    ingest(api, id="failed", status=500)
    ingest(api, id="refused", status=402)
    ingest(api, id="no-status", status=None)
    ingest(api, id="redirected", status=302)
    ingest(api, id="theirs", account="globex")
    names = [
        "unknown",
        "unpriced",
        "estimated",
        "own-key",
        "no-route",
        "failed",
        "refused",
        "no-status",
        "theirs",
        "redirected",
    ]
    assert costs(partner, *names) == {"redirected": CHARGE}


def test_the_first_answer_is_final(api, partner):
    ingest(api, id="r1")
    assert costs(partner, "r1") == {"r1": CHARGE}
    api.meter.record_prices(price_table(rate(5_000_000, 5_000_000)))
    api.meter.rerate()
    assert costs(partner, "r1") == {"r1": CHARGE}
    assert api.meter.count(billing_answers) == 1


def test_a_request_priced_later_is_answered_later(api, partner):
    ingest(api, id="r1", model="new")
    assert costs(partner, "r1") == {}
    api.meter.record_prices(price_table(rate(model="new")))
    api.meter.rate_unpriced()
    assert costs(partner, "r1") == {"r1": CHARGE}


def test_a_copy_has_the_cost_of_the_event_that_counts(api, partner):
    ids = {"response_id": "response-0000000001"}
    api.meter.ingest(usage_event(id="a", time=api.meter.now, **ids), source="gateway")
    api.meter.ingest(usage_event(id="b", source="log", time=api.meter.now, **ids), source="log")
    assert costs(partner, "a", "b") == {"a": CHARGE, "b": CHARGE}


def test_ids_of_responses_are_found_only_among_recent_requests(api, partner):
    api.meter.ingest(
        usage_event(id="old", time=api.meter.now - 3 * HOUR, inference_id="inference-000002"),
        usage_event(id="new", time=api.meter.now - HOUR, inference_id="inference-000003"),
    )
    assert costs(partner, "inference-000002", "inference-000003", "old") == {"inference-000003": CHARGE, "old": CHARGE}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"requestIds": ["x"] * 10_001}, 413, "too_many_ids"),
        ({"requestIds": "x"}, 422, "invalid_request"),
        ({"requestIds": [1]}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"requestIds": [], "more": 1}, 422, "invalid_request"),
    ],
)
def test_an_invalid_question_is_refused(partner, body, status, code):
    answer = partner.post("/v1/hf-billing", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_ids_of_any_length_and_content_are_safe(api, partner):
    assert costs(partner, "", "x" * 10_000, "a'b\"c", "日本", "\0") == {}


def test_one_question_can_have_ten_thousand_ids(api, partner):
    api.meter.ingest(*(usage_event(id=f"r{number}", time=api.meter.now) for number in range(2_000)))
    found = costs(partner, *(f"r{number}" for number in range(10_000)))
    assert found == {f"r{number}": CHARGE for number in range(2_000)}


def test_over_a_real_connection(api, serve):
    import httpx  # noqa: PLC0415 - a real client instead of the test client

    ingest(api, id="deadbeef0")
    headers = {"authorization": f"Bearer {api.token('billing', account='acme')}"}
    with serve(api.app) as address, httpx.Client(base_url=address, headers=headers, timeout=20, verify=False) as client:
        assert costs(client, "deadbeef0") == {"deadbeef0": CHARGE}
