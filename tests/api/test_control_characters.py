"""No database stores a NUL, and no text for people needs control characters: both are refused, on both databases."""

import importlib
import pkgutil
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import metering.api
from metering.api.fields import RequestModel
from metering.web.cursors import write_cursor
from support.every_call import EVERY_CALL, FIRST, send
from support.for_each import for_each
from support.native_events import native

NUL = "\0"
CONTROL = st.characters(categories=["Cc"])
# Read by the log formats, which report the errors of each record or document.
READ_APART = {"ingest_events", "import_prices", "import_invoice"}
# Looks up IDs of other systems; unknown ones are left out, whatever they contain.
ANY_ID_MAY_BE_ASKED = {"answer_billing"}


def bodies():
    """Return every model of a request body, and of a part of one."""
    for module in pkgutil.iter_modules(metering.api.__path__):
        importlib.import_module(f"metering.api.{module.name}")
    found = [RequestModel]
    for model in found:
        found += model.__subclasses__()
    return found[1:]


def places(value, path=()):
    """Yield the paths to all texts in a body."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from places(part, (*path, number))


def with_letter(value, path, letter):
    """Return a body with a letter after the text at a path."""
    if not path:
        return f"{value}{letter}"
    part = with_letter(value[path[0]], path[1:], letter)
    return (value | {path[0]: part}) if isinstance(value, dict) else [*value[: path[0]], part, *value[path[0] + 1 :]]


TEXTS = [
    (call, path)
    for call in EVERY_CALL
    if call.body is not None and call.operation not in READ_APART | ANY_ID_MAY_BE_ASKED
    for path in places(call.body)
]


@for_each("letter", [NUL, "\n", "\x1b", "\x7f", "\x85"])
@for_each("call, path", TEXTS)
def test_a_control_character_in_a_body_is_refused_naming_the_field(refused, call, path, letter):
    body = {name: "acme" if value == "{}" else value for name, value in call.body.items()}
    answer = refused.request(call.method, call.path.format("acme"), json=with_letter(body, path, letter))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert {"field": f"body.{path[0]}", "reason": "control_character"}.items() <= answer.json()["errors"][0].items()
    assert f"U+{ord(letter):04X}" in answer.json()["errors"][0]["message"]


@given(st.data())
def test_no_model_of_a_body_takes_a_control_character_in_any_field(data):
    model = data.draw(st.sampled_from(bodies()))
    name = data.draw(st.sampled_from(sorted(model.model_fields)))
    text = data.draw(st.text(max_size=3)) + data.draw(CONTROL) + data.draw(st.text(max_size=3))
    value = data.draw(st.sampled_from([text, [text], {text: []}, {"model": [text]}]))
    with pytest.raises(ValidationError) as refused:
        model.model_validate({name: value})
    assert "control_character" in {error["type"] for error in refused.value.errors() if error["loc"][0] == name}


QUERIES = [(call, name) for call in EVERY_CALL for name, _ in parse_qsl(urlsplit(call.path).query)]


@for_each("call, name", QUERIES)
def test_a_nul_in_a_parameter_is_refused_naming_it(refused, call, name):
    address = urlsplit(call.path.format("acme"))
    parameters = [(each, value + NUL if each == name else value) for each, value in parse_qsl(address.query)]
    answer = send(refused, call._replace(path=f"{address.path}?{urlencode(parameters)}"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == f"query.{name}"


@pytest.fixture
def admin_with_data(admin):
    """A client that has made the first calls."""
    for first in FIRST:
        assert send(admin, first).is_success
    return admin


@for_each("call", [call for call in EVERY_CALL if call.path.count("/") > 2])
def test_a_nul_in_a_path_is_a_client_error(admin_with_data, call):
    path = urlsplit(call.path.format("acme")).path
    for part in path.split("/")[3:]:
        answer = send(admin_with_data, call._replace(path=path.replace(f"/{part}", f"/{quote(part + NUL)}")))
        assert answer.status_code in (404, 405, 422)


def test_a_nul_in_a_forged_cursor_is_refused(refused):
    answer = refused.get("/v1/accounts", params={"cursor": write_cursor([f"a{NUL}"], "accounts")})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_a_model_named_with_a_control_character_can_be_queried(admin):
    admin.post("/v1/events", json=native("r1", model="tab\tbed"))
    answer = admin.get("/v1/spend?account=acme&model=tab%09bed&start=2026-11-01&end=2026-12-01")
    assert answer.json()["total"]["events"] == 1


@for_each("field", ["id", "model", "provider", "operation", "project", "key", "source", "account"])
def test_a_nul_in_an_event_rejects_the_event(admin, field):
    answer = admin.post("/v1/events", json=[native(f"r0-{field}"), native("r1") | {field: f"a{NUL}b"}]).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)


DOCUMENTS = [(call, text) for call in EVERY_CALL for text in ("contract", "own-model", "r1") if text in (call.sheet or "")]


@for_each("call, text", DOCUMENTS)
def test_a_nul_in_a_document_is_a_client_error(refused, call, text):
    assert send(refused, call._replace(sheet=call.sheet.replace(text, text + NUL))).status_code == 422
