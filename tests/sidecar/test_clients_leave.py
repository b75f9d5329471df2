"""A client that leaves: its answer is read on for its usage, for a while, and the exchange is metered once."""

import threading

import pytest

from metering.domain.usage.events import PriceGrade, QuantityGrade
from support.canned_answers import CHAT_QUANTITIES, MODEL, canned, chat, chat_chunks, messages_events
from support.raw_client import RawClient, request_bytes
from support.running_sidecar import stored_events
from support.serving_process import until
from support.upstream_server import json_answer, stream_answer

MEASURED, ESTIMATED, UNSTATED = QuantityGrade.MEASURED, QuantityGrade.ESTIMATED, QuantityGrade.UNSTATED


@pytest.fixture
def gate():
    opened = threading.Event()
    yield opened
    opened.set()


def send(sidecar, project, path="/v1/chat/completions", **body):
    client = RawClient(sidecar.port)
    client.send(request_bytes(path, {"model": MODEL, "messages": ["x" * 36], **body}, x_metering_project=project))
    return client


def leave(client, how):
    if how == "reset":
        client.reset()
    else:
        client.socket.close()


def in_flight(sidecar):
    return sidecar.metrics()[("sidecar_clients",)]


WAYS = pytest.mark.parametrize("how", ["reset", "close"])


@WAYS
def test_a_client_that_leaves_before_the_answer_begins_is_metered_by_the_answer(sidecar, upstream, project, gate, how):
    upstream.script(json_answer(chat(), gate=(-1, gate)))
    client = send(sidecar, project)
    upstream.wait_for(1)
    leave(client, how)
    gate.set()
    event = sidecar.event(project)
    assert (event.status, event.quantities, event.quantity_grade) == (200, CHAT_QUANTITIES, MEASURED)


@WAYS
def test_a_client_that_leaves_a_stream_is_metered_by_its_end(sidecar, upstream, project, gate, how):
    upstream.script(stream_answer(chat_chunks(null_usage=True), gate=(3, gate)))
    client = send(sidecar, project, stream=True)
    client.read_until(b"Good")
    leave(client, how)
    gate.set()
    event = sidecar.event(project)
    assert (event.status, event.quantities, event.quantity_grade) == (200, CHAT_QUANTITIES, MEASURED)


def test_a_stream_that_does_not_end_soon_after_the_client_left_is_estimated_and_closed(sidecar, upstream, project):
    upstream.script(stream_answer(chat_chunks(), cut_after=4, ending="stall"))
    client = send(sidecar, project, stream=True)
    client.read_until(b"ing")
    client.reset()
    event = sidecar.event(project)
    # The prompt ["xxx…"] has 40 bytes: 10 tokens. Three chunks carry words of 4, 5 and 3 bytes; three of each do not count:
    # 3 bytes are one token, and three chunks are at least 3.
    assert (event.status, event.quantity_grade, event.estimate_reason) == (200, ESTIMATED, "estimated_from_bytes")
    assert (event.quantities.input_tokens, event.quantities.output_tokens) == (10, 3)
    upstream.wait_until(lambda: upstream.open_connections == 0)


def test_the_output_of_a_messages_stream_that_is_cut_is_estimated_and_its_input_is_as_stated(sidecar, upstream, project):
    upstream.script(stream_answer(messages_events(), cut_after=6, ending="stall"))
    client = send(sidecar, project, "/v1/messages", stream=True)
    client.read_until(b'"ing"')
    client.reset()
    event = sidecar.event(project)
    assert (event.status, event.quantity_grade, event.estimate_reason) == (200, ESTIMATED, "estimated_from_bytes")
    used = event.quantities
    # It began with an output of 1 token. Three deltas are at least 3.
    assert (used.input_tokens, used.cache_read_tokens, used.cache_write_tokens, used.output_tokens) == (90, 10, 5, 3)


def test_a_client_that_leaves_and_is_never_answered_is_a_failure_that_costs_nothing(sidecar, upstream, project, gate):
    upstream.script(json_answer(chat(), gate=(-1, gate)))
    client = send(sidecar, project)
    upstream.wait_for(1)
    client.reset()
    event = sidecar.event(project)
    assert (event.status, event.quantity_grade, event.price_grade, event.charge_nano) == (499, UNSTATED, PriceGrade.EXEMPT, 0)


def test_a_client_that_leaves_in_the_middle_of_its_request_asked_for_nothing(sidecar, upstream, project):
    client = RawClient(sidecar.port)
    client.send(request_bytes(body={"model": MODEL}, x_metering_project=project, content_length="1000"))
    client.reset()
    client = send(sidecar, f"{project}-after")
    client.response()
    client.socket.close()
    sidecar.event(f"{project}-after")
    assert stored_events(sidecar.url, project=project) == []
    assert len(upstream.received) == 1


def test_a_client_that_leaves_while_it_uploads_is_a_failure(sidecar, upstream, project):
    begun = upstream.begun
    client = RawClient(sidecar.port)
    head = request_bytes(
        "/v1/audio/transcriptions", b"part", content_length="1000000", content_type="multipart/form-data; boundary=b",
        x_metering_project=project,
    )  # fmt: skip
    client.send(head)
    upstream.wait_until(lambda: upstream.begun > begun)
    client.reset()
    assert sidecar.event(project).status == 499


def test_nothing_is_left_of_clients_that_left(sidecar, upstream):
    until(lambda: in_flight(sidecar) <= 1)
    with sidecar.client() as client:
        assert client.post("/v1/chat/completions", json={"model": MODEL, "messages": []}).status_code == 200
    assert upstream.respond is canned


def test_a_client_that_sends_no_more_gets_its_whole_answer(sidecar, upstream, project):
    upstream.script(stream_answer(chat_chunks(), pause_seconds=0.01))
    client = send(sidecar, project, stream=True)
    client.socket.shutdown(1)
    response = client.response()
    assert response.is_complete
    assert response.body.endswith(b"data: [DONE]\n\n")
    client.socket.close()
    assert sidecar.event(project).quantity_grade == MEASURED
