"""A side that is slow slows the other down: what is under way is never collected in memory."""

import threading

import pytest

from support.canned_answers import EMBEDDINGS_QUANTITIES, MODEL, chat_chunks
from support.raw_client import RawClient, request_bytes
from support.serving_process import until
from support.upstream_server import Answer, stream_answer

MEGABYTE = 1024 * 1024
PIECE = b"0.123456789," * 5_461 + b"    "  # 64 KB
START, END = b'{"object": "list", "data": [', b'0], "usage": {"prompt_tokens": 8, "total_tokens": 8}}'
HUNDRED_MB = [START, *[PIECE] * 1_600, END]
SIZE = sum(map(len, HUNDRED_MB))
ANSWERS = {
    "JSON": Answer(HUNDRED_MB, length=SIZE),
    "chunked bytes": Answer(HUNDRED_MB, media="application/octet-stream", framing="chunked"),
    "a stream": stream_answer([*chat_chunks()[:3], *[b"data: {%b}\n\n" % PIECE] * 1_600, *chat_chunks()[-2:]]),
}


def grown(sidecar, before):
    return (sidecar.memory_bytes() - before) / MEGABYTE


def settled(read):
    """Return a value once it no longer changes."""
    last = [read()]

    def holds():
        value, last[0] = last[0], read()
        return value == last[0]

    threading.Event().wait(0.2)
    until(holds)
    return last[0]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_100_mb_to_a_slow_client_takes_no_memory(sidecar, upstream, project, name):
    answer = ANSWERS[name]
    with RawClient(sidecar.port) as client:  # what is allocated once is not counted
        client.send(request_bytes("/v1/embeddings", {"model": MODEL}))
        client.response()
    before = sidecar.memory_bytes()
    upstream.script(answer)
    with RawClient(sidecar.port, receive_buffer=65_536) as client:
        path = "/v1/chat/completions" if name == "a stream" else "/v1/embeddings"
        client.send(request_bytes(path, {"model": MODEL, "stream": name == "a stream"}, x_metering_project=project))
        client.read_until(b"\r\n\r\n")
        settled(sidecar.memory_bytes)
        assert grown(sidecar, before) < 4
        body = client.response().body
        assert len(body) >= SIZE
    assert grown(sidecar, before) < 6
    if name == "JSON":
        assert body.startswith(START)
        assert sidecar.event(project).quantities == EMBEDDINGS_QUANTITIES
    else:
        sidecar.event(project)


def test_an_upload_to_a_slow_upstream_takes_no_memory(sidecar, upstream, project):
    before = sidecar.memory_bytes()
    upstream.reads_bodies.clear()
    pieces = [b"x" * 65_536] * 800
    length = str(sum(map(len, pieces)))
    with RawClient(sidecar.port) as client:
        client.send(
            request_bytes(
                "/v1/audio/transcriptions", b"", content_length=length, content_type="multipart/form-data; boundary=b",
                x_metering_project=project,
            )
        )  # fmt: skip
        sending = threading.Thread(target=client.send, args=(b"".join(pieces),))
        sending.start()
        settled(sidecar.memory_bytes)
        assert sending.is_alive(), "it is held back"
        assert grown(sidecar, before) < 4
        upstream.reads_bodies.set()
        sending.join(20)
        assert client.response().status == 200
    assert len(upstream.received[0].body) == int(length)
    assert grown(sidecar, before) < 6
    assert sidecar.event(project).status == 200


def test_the_model_of_an_upload_is_found_however_its_form_arrives(raw, sidecar, upstream, project):
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-large\r\n--b\r\n\r\n'
        + b"x" * 100
        + b"\r\n--b--\r\n"
    )
    head = request_bytes(
        "/v1/audio/transcriptions", b"", content_length=str(len(form)), content_type="multipart/form-data; boundary=b",
        x_metering_project=project,
    )  # fmt: skip
    begun = upstream.begun
    raw.send(head + form[:10])
    upstream.wait_until(lambda: upstream.begun > begun)
    for place in range(10, len(form), 7):
        raw.send(form[place : place + 7])
    assert raw.response().status == 200
    assert upstream.received[0].body == form
    assert sidecar.event(project).model == "whisper-large"


def test_a_json_body_that_is_too_long_to_be_held_is_passed_on_as_it_arrives(start_sidecar, upstream, project):
    sidecar = start_sidecar(upstream.url, max_buffered_body="65536")
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "x" * 300_000}]}
    with RawClient(sidecar.port) as client:
        data = request_bytes(body=body, x_metering_project=project)
        client.send(data)
        assert client.response().is_complete
        head, _, content = data.partition(b"\r\n\r\n")
        chunked = head.replace(b"content-length: %d" % len(content), b"transfer-encoding: chunked")
        client.send(chunked + b"\r\n\r\n")
        for start in range(0, len(content), 20_000):
            part = content[start : start + 20_000]
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
        client.send(b"0\r\n\r\n")
        assert client.response().is_complete
    assert [each.document for each in upstream.received] == [body, body]
    assert [(each.header("content-length") is None, each.header("transfer-encoding")) for each in upstream.received] == [
        (False, None),
        (True, "chunked"),
    ]
    assert [each.model for each in sidecar.events(2, project)] == [MODEL, MODEL]
