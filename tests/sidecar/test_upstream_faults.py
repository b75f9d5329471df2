"""Whatever the upstream does, the client gets an error that says so or an answer that is visibly cut, and so does the event."""

import json
import ssl
import subprocess

import pytest

from metering.domain.usage.events import PriceGrade, QuantityGrade
from support.canned_answers import CHAT_QUANTITIES, MODEL, canned, chat, chat_chunks, messages_events
from support.raw_client import RawClient, request_bytes
from support.serving_process import free_port, until
from support.upstream_server import Answer, UpstreamServer, json_answer, stream_answer

BODY = {"model": MODEL, "messages": ["x" * 36]}
PATH = "/v1/chat/completions"
MEASURED, ESTIMATED, UNSTATED = QuantityGrade.MEASURED, QuantityGrade.ESTIMATED, QuantityGrade.UNSTATED


@pytest.fixture(scope="module")
def sidecar(module_upstream, start_sidecar):
    """A sidecar that waits for an answer for a second."""
    return start_sidecar(module_upstream.url, drain_seconds="1", answer_seconds="1", answer_idle_seconds="1")


def ask(sidecar, project, path=PATH, **body):
    with RawClient(sidecar.port) as client:
        client.send(request_bytes(path, {**BODY, **body}, x_metering_project=project))
        return client.response()


HEAD = b"HTTP/1.1 200 OK\r\n"
NOT_ANSWERED = {
    "closes": (Answer(cut_after=-1), 502, "upstream_closed"),
    "resets": (Answer(cut_after=-1, ending="reset"), 502, "upstream_closed"),
    "half-closes": (Answer(cut_after=-1, ending="half_close"), 502, "upstream_closed"),
    "says nothing": (Answer(cut_after=-1, ending="stall"), 504, "upstream_timeout"),
    "begins a head and stops": (Answer(raw=HEAD, cut_after=0, ending="stall"), 504, "upstream_timeout"),
    "cuts its head": (Answer(raw=HEAD + b"content-le", cut_after=0), 502, "upstream_closed"),
    "does not speak HTTP": (Answer(raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), 502, "bad_answer"),
    "speaks HTTP/2": (Answer(raw=b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"), 502, "bad_answer"),
    "states two lengths": (Answer((b"{}",), raw=HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n"), 502, "bad_answer"),
    "states both lengths": (
        Answer((b"2\r\n{}\r\n0\r\n\r\n",), raw=HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"), 502,
        "bad_answer",
    ),
    "has a newline in a header": (Answer((b"{}",), raw=HEAD + b"x: a\ncontent-length: 2\r\n\r\n"), 502, "bad_answer"),
    "has a head of 300 KB": (Answer((b"{}",), raw=HEAD + b"x: " + b"y" * 300_000 + b"\r\n\r\n"), 502, "bad_answer"),
    "switches protocols": (
        Answer(raw=b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"), 502, "bad_answer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NOT_ANSWERED)
def test_an_upstream_that_gives_no_answer_is_an_error_and_a_failed_request(sidecar, upstream, project, name, stream):
    answer, status, code = NOT_ANSWERED[name]
    upstream.script(answer)
    with RawClient(sidecar.port) as client:
        client.send(request_bytes(body={**BODY, "stream": stream}, x_metering_project=project))
        response = client.response()
        assert (response.status, response.code, response.header("x-metering-error")) == (status, code, code)
        # The client's connection is as good as before.
        client.send(request_bytes(body=BODY))
        assert client.response().status == 200
    event = sidecar.event(project)
    assert (event.status, event.quantity_grade, event.charge_nano) == (status, UNSTATED, 0)
    assert (event.price_grade, event.model) == (PriceGrade.EXEMPT, MODEL)


def test_an_error_has_the_shape_that_the_clients_sdk_reads(sidecar, upstream, project):
    upstream.script(Answer(cut_after=-1), Answer(cut_after=-1))
    error = json.loads(ask(sidecar, project).body)["error"]
    assert error == {
        "message": "the upstream closed the connection before its answer was complete", "type": "server_error", "param": None,
        "code": "upstream_closed",
    }  # fmt: skip
    document = json.loads(ask(sidecar, project, "/v1/messages").body)
    assert (document["type"], document["error"]["type"], document["error"]["code"]) == ("error", "api_error", "upstream_closed")


CUTS = [(piece, "close") for piece in range(9)] + [(0, "stall"), (3, "half_close"), (3, "stall")]
# Of nine pieces, the first has no text, and the eighth has the usage. Five words are at least five tokens.
ESTIMATES = [0, 0, 1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(("piece", "ending"), CUTS)
def test_a_stream_that_is_cut_is_visibly_cut_after_everything_that_came(sidecar, upstream, project, piece, ending):
    chunks = chat_chunks()
    upstream.script(stream_answer(chunks, cut_after=piece, ending=ending))
    response = ask(sidecar, project, stream=True)
    shown = [each for each in chunks[:piece] if each != chunks[7]]
    assert (response.status, response.body, response.is_complete) == (200, b"".join(shown), False)
    event = sidecar.event(project)
    if piece == 8:
        assert (event.quantity_grade, event.quantities) == (MEASURED, CHAT_QUANTITIES)
    else:
        assert (event.quantity_grade, event.quantities.output_tokens) == (ESTIMATED, ESTIMATES[piece])
        assert event.quantities.input_tokens == 10  # 40 bytes


def test_a_stream_that_is_reset_is_visibly_cut(sidecar, upstream, project):
    upstream.script(stream_answer(chat_chunks(), cut_after=3, ending="reset"))
    response = ask(sidecar, project, stream=True)
    assert (response.status, response.is_complete) == (200, False)
    assert sidecar.event(project).quantity_grade == ESTIMATED


def test_a_partial_event_before_a_cut_reaches_the_client(sidecar, upstream, project):
    chunks = [*chat_chunks()[:3], b'data: {"choices": [{"delta": {"content": "half']
    upstream.script(stream_answer(chunks, cut_after=4))
    response = ask(sidecar, project, stream=True)
    assert (response.body, response.is_complete) == (b"".join(chunks), False)


def test_a_plain_answer_that_is_cut_is_visibly_cut(sidecar, upstream, project):
    body = json.dumps(chat()).encode()
    upstream.script(Answer((body[:200],), length=len(body), cut_after=1), Answer((body[:200],), framing="chunked", cut_after=1))
    for _ in range(2):
        response = ask(sidecar, project)
        assert (response.status, response.body, response.is_complete) == (200, body[:200], False)
    first, second = sidecar.events(2, project)
    assert (first.quantity_grade, first.quantities) == (ESTIMATED, second.quantities)


def test_an_answer_of_unstated_length_ends_with_its_connection(sidecar, upstream, project):
    upstream.script(json_answer(chat(), framing="close"))
    response = ask(sidecar, project)
    assert (response.header("transfer-encoding"), response.is_complete) == ("chunked", True)
    assert sidecar.event(project).quantities == CHAT_QUANTITIES


def test_an_answer_that_arrives_before_the_request_is_complete_does_not_disturb_the_next(sidecar, upstream, project):
    """What is left of a request must not be read by the upstream as the next request."""
    upstream.early = json_answer({"error": "too large"}, 413)
    smuggled = request_bytes("/v1/smuggled", b"", method="GET")
    head = request_bytes(
        "/v1/audio/transcriptions", b"x" * 10, content_length="1000000", content_type="multipart/form-data; boundary=b",
        x_metering_project=project,
    )  # fmt: skip
    with RawClient(sidecar.port) as client:
        client.send(head)
        response = client.response()
        assert (response.status, response.header("connection")) == (413, "close")
        client.send(smuggled)
    for _ in range(3):
        assert ask(sidecar, project).status == 200
    assert [each.path for each in upstream.received] == ["/v1/audio/transcriptions", PATH, PATH, PATH]
    assert len({each.connection for each in upstream.received[:2]}) == 2


def test_what_an_upstream_sends_after_its_answer_is_no_answer_to_the_next_request(sidecar, upstream, project):
    extra = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong"
    body = b'{"right": 1}'
    raw = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body + extra
    upstream.script(Answer(raw=raw, gate=None))
    assert ask(sidecar, project).body == body
    response = ask(sidecar, project)
    assert (response.status, json.loads(response.body)["object"]) == (200, "chat.completion")


def test_interim_answers_are_not_the_answer(sidecar, upstream, project):
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3
    body = json.dumps(chat()).encode()
    upstream.script(Answer(raw=interim + HEAD + b"content-length: %d\r\n\r\n" % len(body) + body))
    response = ask(sidecar, project)
    assert (response.status, response.body, response.header("link")) == (200, body, None)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("POST", 304), ("GET", 404)])
def test_answers_without_a_body_leave_the_connection_sane(sidecar, upstream, method, status):
    with RawClient(sidecar.port) as client:
        for _ in range(2):
            upstream.script(Answer((b"{}",) if status != 204 else (), status=status, headers=(("x-a", "1"),)))
            client.send(request_bytes("/v1/models", b"", method=method))
            response = client.response(method)
            assert (response.status, response.header("x-a")) == (status, "1")


def test_a_connection_is_used_again_and_replaced_when_the_upstream_has_closed_it(sidecar, upstream, project):
    with RawClient(sidecar.port) as client:

        def status():
            client.send(request_bytes(body=BODY))
            return client.response().status

        assert [status(), status()] == [200, 200]
        upstream.close_connections()
        # A request that is sent while the connection closes is lost: the client hears of it, and the next one is fine.
        until(lambda: status() == 200)
        assert status() == 200
    first, second, *_, third, fourth = (each.connection for each in upstream.received)
    assert first == second != third == fourth


def test_an_upstream_that_is_not_there_is_an_error(start_sidecar, project):
    sidecar = start_sidecar(f"http://127.0.0.1:{free_port()}")
    response = ask(sidecar, project)
    assert (response.status, response.code) == (502, "upstream_unreachable")
    response = ask(sidecar, project, "/v1/audio/speech", input="a")
    assert response.status == 502
    assert [each.status for each in sidecar.events(2, project)] == [502, 502]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate of 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key, path = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=upstream"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except OSError:
        pytest.skip("openssl is not installed")
    return key, path


def test_the_upstreams_certificate_is_verified(start_sidecar, certificate, project):
    key, path = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    with UpstreamServer(canned, tls=context) as upstream:
        trusting = start_sidecar(upstream.url, SSL_CERT_FILE=str(path))
        upstream.script(json_answer(chat()), stream_answer(messages_events()))
        assert ask(trusting, project).status == 200
        assert ask(trusting, project, "/v1/messages", stream=True).is_complete
        assert len({each.connection for each in upstream.received}) == 1, "the connection is kept"
        distrusting = start_sidecar(upstream.url)
        response = ask(distrusting, project)
        assert (response.status, response.code) == (502, "upstream_certificate")
        renamed = start_sidecar(upstream.url.replace("127.0.0.1", "localhost"), SSL_CERT_FILE=str(path))
        assert ask(renamed, project).code == "upstream_certificate"
        assert len(upstream.received) == 2
