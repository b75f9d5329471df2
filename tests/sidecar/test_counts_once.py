"""The same exchange, metered by the sidecar and read from a log, has the same quantities and charge, and counts once."""

import json
import time

import pytest

from metering.operations.upkeep.verify import verify
from metering.storage.engine.database import open_database
from support import canned_answers as canned
from support.canned_answers import MODEL
from support.command_line import CommandLine
from support.running_sidecar import stored_events
from support.upstream_server import json_answer, stream_answer

PATH = "/v1/chat/completions"
HEADERS = (("x-inference-provider", "together"), ("inference-id", "0-019ff423-4542-7611"))
NOW = int(time.time())
SAME = (
    "provider", "model", "operation", "route", "status", "failure", "quantities", "quantity_grade", "estimate_reason",
    "charge_nano", "price_grade", "billable", "response_id", "inference_id", "response_model", "reported_cost_nano",
)  # fmt: skip


def logged(url, body, answer):
    """What a logger of requests and responses records of an exchange with the router."""
    text = answer.body.decode()
    return {
        "id": f"log-{hash(text) % 10**9}",
        "time": NOW,
        "request": {"url": f"https://router.huggingface.co{url}", "body": body},
        "response": {"status": answer.status, "headers": dict(answer.headers), "body": text},
    }


@pytest.fixture(scope="module")
def exchanges():
    """Requests and their answers: plain, streamed, of each API, failed."""
    chat = {"model": MODEL, "messages": []}
    reported = {**canned.CHAT_USAGE, "estimated_cost": 0.0001}
    failed = canned.responses(status="failed", error={"code": "server_error", "message": "x"}, usage=None)
    streamed = {**chat, "stream": True}
    return [
        (PATH, chat, json_answer(canned.chat(created=NOW), headers=HEADERS)),
        (PATH, streamed, stream_answer(canned.chat_chunks(), headers=HEADERS)),
        (PATH, chat, json_answer(canned.chat(created=NOW, usage=reported), headers=HEADERS)),
        ("/v1/responses", chat, json_answer(canned.responses(created_at=NOW), headers=HEADERS)),
        ("/v1/responses", streamed, stream_answer(canned.responses_events(), headers=HEADERS)),
        ("/v1/messages", chat, json_answer(canned.messages(), headers=HEADERS)),
        ("/v1/messages", streamed, stream_answer(canned.messages_events(), headers=HEADERS)),
        ("/groq/v1/embeddings", chat, json_answer(canned.embeddings())),
        ("/fal-ai/v1/images/generations", chat, json_answer(canned.images())),
        ("/v1/responses", chat, json_answer(failed, headers=HEADERS)),
        (PATH, chat, canned.NO_CREDITS),
    ]


@pytest.fixture(scope="module")
def new_line(tmp_path_factory):
    """A function that returns the command line on a new database with bundled prices and the account acme."""

    def make():
        line = CommandLine(tmp_path_factory.mktemp("line"), now=NOW * 1_000_000 + 60_000_000)
        line.done("accounts", "create", "acme")
        return line

    return make


@pytest.fixture(scope="module")
def metered(module_upstream, start_sidecar, new_line, exchanges):
    """The command line on the database in which the sidecar metered the exchanges."""
    line = new_line()
    sidecar = start_sidecar(module_upstream.url, url=f"sqlite:///{line.database}")
    with sidecar.client() as client:
        for path, body, answer in exchanges:
            module_upstream.script(answer)
            client.post(path, json=body)
    sidecar.settled_events()
    return line


@pytest.fixture(scope="module")
def log(tmp_path_factory, exchanges):
    path = tmp_path_factory.mktemp("log") / "requests.jsonl"
    path.write_text("".join(json.dumps(logged(*each)) + "\n" for each in exchanges))
    return path


def events(line):
    return stored_events(f"sqlite:///{line.database}")


def test_an_exchange_has_the_same_quantities_and_charge_by_either_way(metered, new_line, log, exchanges):
    alone = new_line()
    total = alone.json("ingest", log, "--account", "acme")["total"]
    assert (total["accepted"], total["rejected"]) == (len(exchanges), 0)
    by_answer = {(each.response_id, each.operation, each.status): each for each in events(alone)}
    assert len(by_answer) == len(exchanges)
    for ours in events(metered):
        theirs = by_answer[ours.response_id, ours.operation, ours.status]
        assert {name: getattr(ours, name) for name in SAME} == {name: getattr(theirs, name) for name in SAME}
    assert any(each.charge_nano for each in events(metered))


def test_what_the_sidecar_metered_is_a_copy_in_a_log(metered, log, exchanges):
    before = {each.id: each for each in events(metered)}
    spent = metered.json("spend", "--account", "acme")["total"]["amount_nano_usd"]
    total = metered.json("ingest", log, "--account", "acme")["total"]
    # An answer that states no ID cannot be known again: embeddings, images and the refusal.
    without_id = [each for each in exchanges if b'"id": "' not in each[2].body]
    assert len(without_id) == 3
    assert (total["copy"], total["accepted"]) == (len(exchanges) - 3, 3)
    after = {each.id: each for each in events(metered)}
    assert {name: after[name] for name in before} == before
    new = [each for name, each in after.items() if name not in before]
    assert sorted(each.operation for each in new) == ["chat", "embeddings", "image_generation"]
    extra = sum(each.charge_nano or 0 for each in new)
    assert metered.json("spend", "--account", "acme")["total"]["amount_nano_usd"] == spent + extra
    assert metered.json("ingest", log, "--account", "acme")["total"]["duplicate"] == len(exchanges)
    engine = open_database(f"sqlite:///{metered.database}")
    assert verify(engine) == []
    engine.dispose()
