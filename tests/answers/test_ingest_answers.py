"""An entry of ``files`` in what ``metering ingest --json`` prints is what ``POST /v1/events`` answers for the same records."""

import json

import msgspec
import pytest
from starlette.testclient import TestClient

from metering.answers.usage.ingest import IngestAnswer
from metering.api.app import create_api
from metering.operations.accounts.manage_keys import NewKey, create_key
from metering.operations.service.open_service import open_service
from metering.operations.service.settings import read_settings
from support.request_records import request

RECORDS = [
    request(1),
    request(2, time="2026-11-03T10:15:00"),
    request(3, prompt="not stored"),
    request(1, usage={"input_tokens": 1}),
    request(4, account="stranger", model="unheard/of"),
    request(5, source="tracer", response_id="ebafdc12cee84cf29c1b"),
    request(6, source="gateway", response_id="ebafdc12cee84cf29c1b"),
    request(3),
]
# A log has these first; duplicates are only counted.
URGENCY = ["rejected", "conflict", "copy"]


@pytest.fixture
def folder(new_command_line, tmp_path):
    """A function that returns a command line on a new database where ``acme`` is declared."""

    def make(name):
        line = new_command_line(tmp_path / name)
        line.done("accounts", "create", "acme")
        return line

    return make


def post(line, content, media):
    service = open_service(read_settings(line.environment), lambda: line.now, create=False)
    app = create_api(service)
    _, token = create_key(service.engine, NewKey("test", ["ingest"]), now=line.now)
    headers = {"authorization": f"Bearer {token}", "content-type": media}
    answer = TestClient(app).post("/v1/events?source=log", content=content, headers=headers)
    app.state.intake.close()
    service.engine.dispose()
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("name", "content", "media"),
    [
        ("a.ndjson", "\n".join(map(json.dumps, RECORDS)), "application/x-ndjson"),
        ("a.json", json.dumps(RECORDS), "application/json"),
    ],
)
def test_a_log_and_a_request_with_the_same_records_have_the_same_answer(folder, name, content, media):
    command, route = folder("command"), folder("route")
    log = command.folder / name
    log.write_text(content)
    (entry,) = json.loads(command.run("ingest", log, "--source", "log", "--json"))["files"]
    answered = post(route, content, media)
    assert (entry.pop("file"), entry.pop("source"), entry.pop("error")) == (str(log), "log", None)
    items = [item for item in answered["items"] if item["outcome"] != "duplicate"]
    assert entry == answered | {"items": sorted(items, key=lambda item: URGENCY.index(item["outcome"]))}
    assert [(item["index"], item["line"]) for item in entry["items"]] == (
        [(1, None), (3, None), (6, None)] if name == "a.json" else [(None, 2), (None, 4), (None, 7)]
    )


def test_the_answer_decodes_into_its_struct(folder):
    answered = post(folder("route"), json.dumps(RECORDS), "application/json")
    assert msgspec.to_builtins(msgspec.convert(answered, IngestAnswer)) == answered
