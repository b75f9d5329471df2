"""The OpenAPI document: complete enough that a client can be written from it alone.

``tests/e2e/test_month_over_http.py`` checks that the reviewed copy (``openapi.json``) is the document that is served;
``UPDATE_SNAPSHOTS=1`` rewrites it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.api.usage.event_bodies import MEDIA_TYPES
from metering.formats.native import NATIVE_FIELDS
from metering.web.problems import PROBLEMS
from pricing.quantities import ALL_KINDS
from support.every_call import FIRST, WITH_A_KEY, send
from support.native_events import native

DOCUMENT = json.loads(Path(__file__).with_name("openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
FILES = ("download_statement", "download_statements")
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


def schemas_in(node: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object schema in the document, with its path."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield at, node
        for name, value in node.items():
            if name not in ("example", "examples"):
                yield from schemas_in(value, f"{at}/{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from schemas_in(value, f"{at}/{index}")


def test_every_property_of_every_schema_has_a_description_and_an_example():
    found = list(schemas_in(DOCUMENT))
    assert len(found) > 30
    bare = [
        f"{at}.{name}"
        for at, schema in found
        for name, about in schema["properties"].items()
        if not (about.get("description") and about.get("examples"))
    ]
    assert bare == []


@each_operation
def test_every_parameter_has_a_description_and_an_example(operation):
    bare = [
        each["name"]
        for each in operation.get("parameters", [])
        if not (each.get("description") and (each.get("examples") or each["schema"].get("examples")))
    ]
    assert bare == []


@each_operation
def test_every_operation_has_a_name_a_description_and_its_problems(operation):
    assert operation["operationId"].replace("_", "").isalpha()
    assert operation["summary"] and operation["description"]
    (tag,) = operation["tags"]
    assert tag in {each["name"] for each in DOCUMENT["tags"]}
    failures = {status: response for status, response in operation["responses"].items() if status >= "400"}
    assert {"400", "422", "500", "503"} <= failures.keys()
    if "security" in operation:
        assert {"401", "403"} <= failures.keys()
    if "requestBody" in operation:
        assert {"413", "415"} <= failures.keys()
    for status, response in failures.items():
        ((media, content),) = response["content"].items()
        assert (media, content["schema"]) == ("application/problem+json", {"$ref": "#/components/schemas/Problem"})
        assert {PROBLEMS[code].status for code in content["examples"]} == {int(status)}
        assert {example["value"]["code"] for example in content["examples"].values()} == content["examples"].keys()


def test_operation_names_are_unique():
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


@each_operation
def test_every_success_has_a_schema(operation):
    (success,) = [response for status, response in operation["responses"].items() if status < "300"]
    if "content" in success:
        assert all(content["schema"] for content in success["content"].values())
    else:
        assert operation["operationId"] in ("revoke_key", "delete_webhook", "delete_budget")


def test_every_reference_resolves():
    def references(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    named = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}
    assert named <= SCHEMAS.keys()
    assert SCHEMAS.keys() - named == set()


def test_the_key_is_a_bearer_token():
    (scheme,) = DOCUMENT["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_the_native_event_of_the_document_matches_the_decoder():
    described = SCHEMAS["NativeEvent"]
    assert set(described["properties"]) == set(NATIVE_FIELDS)
    assert set(described["required"]) == {"id", "time", "model"}
    assert set(SCHEMAS["Usage"]["properties"]) == set(ALL_KINDS)


def test_the_example_of_every_event_field_is_accepted(admin):
    sent = {name: about["examples"][0] for name, about in SCHEMAS["NativeEvent"]["properties"].items()}
    answer = admin.post("/v1/events", json=sent).json()
    assert (answer["accepted"], answer["unread_fields"]) == (1, {})


def test_the_examples_of_described_bodies_are_accepted(admin):
    content = OPERATIONS["POST /v1/events"]["requestBody"]["content"]
    assert content.keys() == set(MEDIA_TYPES) - {"application/ndjson", "application/jsonl"}
    for media, described in content.items():
        example = described["example"]
        body = example if isinstance(example, str) else json.dumps(example)
        answer = admin.post("/v1/events", content=body.encode(), headers={"content-type": media})
        assert answer.status_code == 200, (media, answer.text)


def test_an_answer_has_the_fields_of_the_document(admin):
    admin.post("/v1/events", json=native())
    for needed in FIRST:
        assert send(admin, needed).is_success
    by_id = {operation["operationId"]: operation for operation in OPERATIONS.values()}
    for call in WITH_A_KEY:
        if call.operation in (
            "revoke_key",
            "delete_webhook",
            "delete_budget",
            "download_statement",
            "download_statements",
            "declare_account",
            "accept_price_sync",
            "metrics",
            "download_reconciliation",
            "download_reconciliation_page",
            "download_evidence",
            # Nothing was corrected and nothing conflicts; tests/answers compares these answers with those of the commands.
            "resume_correction",
            "undo_correction",
            "show_conflict",
            "accept_conflict",
            "dismiss_conflict",
            "show_alert",
            "remove_model_alias",
        ):
            continue
        answer = send(admin, call)
        assert answer.is_success, answer.text
        content = by_id[call.operation]["responses"][str(answer.status_code)]["content"]
        described = SCHEMAS[content["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        assert answer.json().keys() == described["properties"].keys() == set(described["required"])
