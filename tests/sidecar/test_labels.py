"""Who made a request and who served it: labels are read and kept, and no token is stored or logged anywhere."""

import re

import pytest

from metering.domain.usage.events import MAX_TAGS
from metering.sidecar.callers import Callers
from metering.sidecar.heads import checked_head
from support.canned_answers import MODEL, chat, chat_chunks
from support.running_sidecar import stored_events
from support.upstream_server import json_answer, stream_answer

TOKEN = "hf_QwErTyUiOpAsDfGhJkLzXcVbNm"
PATH = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "a secret prompt"}]}


@pytest.fixture(scope="module")
def client(sidecar):
    with sidecar.client() as made:
        yield made


def head(**headers):
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return checked_head(b"POST", b"/v1", [(b"host", b"a"), *fields], "1.1", keep_alive=True, max_target=100)


def caller(session_per="", account="", key_accounts=None, salt=b"s" * 32, **headers):
    return Callers(salt, account, key_accounts or {}, session_per).caller(head(**headers))


def test_labels_are_stored_with_the_event(client, sidecar, project):
    labels = {
        "X-Metering-User": "zoë".encode(),
        "X-Metering-Tags": "team=search, env = prod,broken,=x",
        "X-Metering-Project": project,
    }
    client.post(PATH, json=BODY, headers={**labels, "Authorization": f"Bearer {TOKEN}", "X-HF-Session-id": "run-7"})
    event = sidecar.event(project)
    assert event.tags == {"team": "search", "env": "prod", "user": "zoë", "session": "run-7"}
    assert re.fullmatch("token-[0-9a-f]{12}-VbNm", event.key)
    assert (event.source, event.response_model) == ("sidecar", MODEL)


def test_the_bill_to_header_names_the_account_and_is_passed_on(client, sidecar, upstream, project):
    for account in ("acme", "other-org"):
        client.post(PATH, json=BODY, headers={"X-HF-Bill-To": account, "X-Metering-Project": project})
    assert [each.header("x-hf-bill-to") for each in upstream.received] == ["acme", "other-org"]
    assert len(sidecar.events(1, project)) == 1
    assert len(sidecar.events(1, project, account="")) == 1


PROVIDERS = {
    "the header": ("/groq/v1/chat/completions", f"{MODEL}:novita", {"x-inference-provider": "Together_AI"}, "together"),
    "else the path": ("/groq/openai/v1/chat/completions", f"{MODEL}:novita", {}, "groq"),
    "else the suffix of the model": (PATH, f"{MODEL}:novita", {}, "novita"),
    "no provider, but a choice of the router": (PATH, f"{MODEL}:cheapest", {}, "unknown"),
    "no provider": (PATH, MODEL, {}, "unknown"),
    "a first part of a path that is no provider": ("/other/v1/chat/completions", MODEL, {}, "unknown"),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_provider_is_the_one_that_answered(client, sidecar, upstream, project, name):
    path, model, headers, provider = PROVIDERS[name]
    upstream.script(json_answer(chat(), headers=tuple(headers.items())))
    client.post(path, json={**BODY, "model": model}, headers={"X-Metering-Project": project})
    event = sidecar.event(project)
    assert (event.provider, event.model, event.route) == (provider, MODEL, "routed")


def test_ids_of_the_answer_are_kept(client, sidecar, upstream, project):
    document = chat()
    upstream.script(json_answer(document, headers=(("Inference-Id", "0-019ff423-4542"),)))
    client.post(PATH, json=BODY, headers={"X-Metering-Project": project})
    event = sidecar.event(project)
    assert (event.response_id, event.inference_id) == (document["id"], "0-019ff423-4542")


def test_the_most_tags_that_a_request_can_state_do_not_cost_its_usage(client, sidecar, project):
    tags = ",".join(f"t{number}=v" for number in range(100))
    labels = {"X-Metering-Tags": tags, "X-Metering-User": "u", "X-HF-Session-id": "s", "X-Metering-Project": project}
    client.post(PATH, json={**BODY, "stream": True}, headers=labels)
    event = sidecar.event(project)
    assert len(event.tags) == MAX_TAGS
    assert event.quantities.output_tokens == 250


def test_sessions_are_set_per_label_and_those_of_the_client_are_kept(start_sidecar, upstream):
    sidecar = start_sidecar(upstream.url, "--session-per", "project")
    with sidecar.client() as client:
        for headers in ({}, {"X-Metering-Project": "search"}, {"X-Metering-Project": "search", "X-HF-Session-id": "own"}):
            client.post(PATH, json=BODY, headers=headers)
    assert [each.header("x-hf-session-id") for each in upstream.received] == [None, "search", "own"]
    assert [each.tags.get("session") for each in sidecar.events(3)] == [None, "search", "own"]


def test_keys_are_mapped_to_accounts_by_their_label(start_sidecar, upstream, new_database, tmp_path):
    url, authorization = new_database(), {"Authorization": f"Bearer {TOKEN}"}
    first = start_sidecar(upstream.url, "--account", "", url=url, folder=tmp_path)
    with first.client() as client:
        client.post(PATH, json=BODY, headers=authorization)
    (event,) = first.settled_events(account="")
    second = start_sidecar(upstream.url, "--account", "", url=url, folder=tmp_path, key_accounts=f"{event.key}=acme")
    with second.client() as client:
        client.post(PATH, json=BODY, headers=authorization)
        client.post(PATH, json=BODY, headers={"Authorization": f"Bearer {TOKEN}x"})
    assert [each.key for each in second.settled_events()] == [event.key]
    assert len(stored_events(url, "")) == 2


def test_no_token_and_no_content_is_stored_or_logged(start_sidecar, upstream, tmp_path, new_database):
    url = new_database()
    sidecar = start_sidecar(upstream.url, url=url, folder=tmp_path, METERING_LOG_LEVEL="DEBUG")
    answer = chat(
        choices=[{"index": 0, "message": {"role": "assistant", "content": "a secret answer"}, "finish_reason": "stop"}]
    )
    secret_chunks = chat_chunks(words=["a secret", " answer"])
    upstream.script(json_answer(answer), stream_answer(secret_chunks), json_answer({"error": f"bad token {TOKEN}"}, 401))
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "X-Api-Key": TOKEN,
        "Proxy-Authorization": f"Basic {TOKEN}",
        "Cookie": f"t={TOKEN}",
    }
    with sidecar.client() as client:
        for stream in (False, True, False):
            client.post(f"{PATH}?key={TOKEN}", json={**BODY, "stream": stream}, headers=headers)
        sidecar.events(3)
        metrics, pages = client.get("/-/metrics").content, client.get("/-/readyz").content
    journal = sidecar.journal_bytes()
    assert b"token-" in journal, "the events are in the journal"
    assert sidecar.stop() == 0
    seen = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} | {"journal": journal}
    database = url.removeprefix("sqlite:///")
    for suffix in ("", "-wal"):
        try:
            with open(database + suffix, "rb") as file:  # noqa: PTH123 - names of SQLite's files
                seen[suffix or "database"] = file.read()
        except FileNotFoundError:
            continue
    seen |= {"metrics": metrics, "pages": pages}
    assert len(seen["database"]) > 100_000
    for name, content in seen.items():
        for secret in (TOKEN, TOKEN[:12], "secret prompt", "secret answer"):
            assert secret.encode() not in content, (name, secret)


def test_a_label_of_a_key_has_a_hash_and_the_end_of_a_long_token():
    (first, second) = (caller(authorization=value).key for value in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "))
    assert first == second
    assert caller(x_api_key=TOKEN).key == first
    assert caller(authorization=f"Bearer {TOKEN}", x_api_key="other").key == first
    assert re.fullmatch("token-[0-9a-f]{12}", caller(authorization="Bearer short-token").key)
    assert caller(authorization=f"Bearer {TOKEN}", salt=b"t" * 32).key[6:18] != first[6:18]
    assert caller().key == caller(authorization="Bearer ").key == ""


def test_the_account_is_the_headers_else_the_keys_else_the_sidecars():
    label = caller(authorization=f"Bearer {TOKEN}").key
    mapped = {"account": "default", "key_accounts": {label: "mapped"}}
    assert caller(**mapped, authorization=f"Bearer {TOKEN}", x_hf_bill_to="org").account == "org"
    assert caller(**mapped, authorization=f"Bearer {TOKEN}").account == "mapped"
    assert caller(**mapped, authorization="Bearer other").account == "default"


@pytest.mark.parametrize(
    ("per", "headers", "session"),
    [
        ("project", {"x_metering_project": "p"}, "p"),
        ("user", {"x_metering_user": "u"}, "u"),
        ("user", {"x_metering_project": "p"}, ""),
        ("project", {"x_metering_project": "p", "x_hf_session_id": "own"}, "own"),
        ("project", {"x_metering_project": "p" * 255}, "p" * 255),
        ("", {"x_metering_project": "p"}, ""),
    ],
)
def test_a_session_is_named_after_the_label_that_is_chosen(per, headers, session):
    found = caller(session_per=per, **headers)
    assert found.session == session
    assert found.tags.get("session", "") == session


def test_labels_are_cut_to_what_can_be_stored():
    found = caller(x_metering_project="p" * 300, x_metering_tags="a=" + "v" * 300 + "," + "n" * 300 + "=1")
    assert found.project == "p" * 255
    assert found.tags == {"a": "v" * 255, "n" * 255: "1"}
