"""A month over HTTP: account, plan, events, spend, credits, statement as JSON and CSV, all described by the document."""

import csv
import io
import json
import os

from support.places import TESTS

SNAPSHOT = TESTS / "api" / "openapi.json"


def test_a_month_from_account_to_statement(api):
    assert api.post("/v1/accounts", json={"name": "studio"}).status_code in (200, 201)
    plan = {"plan": "pro", "effective": "2026-11-01"}
    assert api.post("/v1/accounts/studio/plan", json=plan).status_code in (200, 201)
    events = [
        {
            "id": f"r{day}",
            "time": f"2026-11-{day:02d}T10:00:00Z",
            "account": "studio",
            "provider": "together",
            "route": "routed",
            "model": "meta-llama/Llama-3-70b-chat-hf",
            "status": 200,
            "usage": {"input_tokens": 1_000_000},
        }
        for day in range(1, 21)
    ]
    assert api.post("/v1/events", json=events).json()["accepted"] == 20
    spend = api.get(
        "/v1/spend?account=studio&start=2026-11-01T00:00:00Z&end=2026-12-01T00:00:00Z&group_by=provider,model&granularity=day"
    ).json()
    assert spend["period_basis"] == "event"
    assert [row["amount_nano_usd"] for row in spend["rows"]] == [900_000_000] * 20
    # 20 x $0.90 = $18.00, minus $2.00 of credits, plus the $9.00 fee
    statement = api.get("/v1/statements/studio/2026-11").json()
    assert (statement["usage_usd"], statement["total_usd"]) == ("18.000000000", "25.00")
    by_suffix = api.get("/v1/statements/studio/2026-11.csv")
    by_header = api.get("/v1/statements/studio/2026-11", headers={"Accept": "text/csv"})
    assert by_suffix.text == by_header.text
    assert by_suffix.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(by_suffix.text)))
    assert (rows[-1]["line"], rows[-1]["amount_usd"]) == ("total", "25.000000000000")
    left = api.get("/v1/credits?account=studio&month=2026-11").json()
    assert left["included_left_nano_usd"] == 0


def test_prices_show_their_source_and_version(api):
    page = api.get("/v1/prices?provider=together&model=Llama-3.3-70B&at=2026-10-18T23:59:59.999999Z").json()
    assert {price["source"] for price in page["items"]} >= {"hf_router"} or page["items"]
    assert api.get("/v1/prices/tables").json()["items"]


def walk(node, path=()):
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, (*path, index))


def test_every_field_and_parameter_has_a_description_and_an_example(api):
    document = api.client.get("/openapi.json").json()
    bare = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, about in schema.get("properties", {}).items()
        if not about.get("description") or not ("example" in about or "examples" in about)
    ]
    bare += [
        f"{path} {method} {parameter['name']}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
        or not ("example" in parameter or "examples" in parameter or "examples" in parameter["schema"])
    ]
    assert bare == []


def test_the_openapi_document_is_the_reviewed_one(api):
    """After an intended change, UPDATE_SNAPSHOTS=1 writes the new document."""
    document = api.client.get("/openapi.json").json()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert document == json.loads(SNAPSHOT.read_text())
