"""One POST: bounded in time and in what is read, to the address that was checked, never led elsewhere, and never raising."""

import asyncio
import ssl
import subprocess
import threading

import pytest

from metering.outbound.addresses import AddressGuard
from metering.outbound.post import PostLimits, open_poster, post
from support.receiver import answer, dripping, endless, receiver, refused, reset, saying, silent

LOOPBACK = frozenset({"127.0.0.1"})
GUARD = AddressGuard(LOOPBACK, LOOPBACK)
HEADERS = {"webhook-id": "msg_1"}


def posted(address, guard=GUARD, **limits):
    async def run():
        async with open_poster() as client:
            limited = PostLimits(**{"total_seconds": 5.0} | limits)
            return await post(client, address, b"{}", HEADERS, guard=guard, limits=limited)

    return asyncio.run(run())


def test_what_is_sent_and_what_is_answered():
    with receiver(refused("202 Accepted", b"thanks", retry_after="7")) as there:
        came = posted(there.url + "?a=b")
    (request,) = there.received
    assert (request.target, request.body, request.id) == ("/hook?a=b", b"{}", "msg_1")
    assert request.headers["host"] == f"127.0.0.1:{there.port}"
    assert (came.status, came.answer, came.retry_after, came.error) == (202, "thanks", 7.0, "")


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (reset, "broken_off"),
        (silent, "too_slow"),
        (dripping, "too_slow"),
        (saying(b""), "broken_off"),
        (saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "broken_off"),
        (saying(b"HTTP/1.1 two hundred\r\n\r\n"), "broken_off"),
        (saying(b"\x00\xff" * 1_000), "broken_off"),
        (saying(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000), "broken_off"),
    ],
    ids=["reset", "silent", "dripping", "nothing", "another protocol", "no status", "garbage", "endless headers"],
)
def test_a_receiver_that_does_not_answer_well_costs_a_bounded_time(behaviour, code):
    with receiver(behaviour) as there:
        came = posted(there.url, total_seconds=1.0)
    assert (came.status, came.error) == (None, code)
    assert came.message


def test_of_an_endless_answer_the_begin_is_kept():
    with receiver(endless) as there:
        came = posted(there.url, answer_bytes=100)
    assert (came.status, came.answer) == (500, "x" * 100)


def test_an_answer_that_breaks_off_has_its_status_all_the_same():
    with receiver(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")) as there:
        came = posted(there.url)
    assert (came.status, came.answer) == (200, "half")


def test_what_can_not_be_shown_of_an_answer_is_replaced():
    with receiver(refused(body=b"\x1b[31mred\x00\xff\nline")) as there:
        came = posted(there.url)
    assert came.answer == "\ufffd[31mred\ufffd\ufffd\nline"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed_wherever_it_leads(status):
    with receiver() as inner, receiver(refused(status, location=inner.url)) as there:
        came = posted(there.url)
    assert came.status == int(status[:3])
    assert (len(there.received), len(inner.received)) == (1, 0)


def test_nothing_is_sent_to_a_name_that_leads_inside():
    with receiver() as there:
        guard = AddressGuard(frozenset({"hooks.example"}), resolve=lambda host, port: ["127.0.0.1"])
        came = posted(f"http://hooks.example:{there.port}/", guard)
    assert (came.status, came.error) == (None, "forbidden_address")
    assert there.received == []


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to():
    answers = [["127.0.0.1"], ["10.255.255.1"], ["10.255.255.1"]]
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return answers[len(asked) - 1]

    with receiver() as there:
        names = frozenset({"hooks.example"})
        came = posted(f"http://hooks.example:{there.port}/", AddressGuard(names, names, resolve=rebinding))
    assert (came.status, asked) == (204, ["hooks.example"])
    assert there.received[0].headers["host"] == f"hooks.example:{there.port}"


def test_the_next_address_is_tried_where_nobody_listens_at_the_first():
    with receiver() as there:
        names = frozenset({"hooks.example"})
        guard = AddressGuard(names, names, resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
        assert posted(f"http://hooks.example:{there.port}/", guard).status == 204


def test_a_name_service_that_hangs_costs_a_bounded_time():
    over = threading.Event()

    def hanging(host, port):
        over.wait(20)
        return ["127.0.0.1"]

    came = posted("https://hooks.example/", AddressGuard(resolve=hanging), total_seconds=0.3)
    over.set()
    assert came.error == "too_slow"


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
def test_a_name_that_can_not_be_looked_up_is_said(error):
    def failing(host, port):
        raise error

    came = posted("https://hooks.example/", AddressGuard(resolve=failing))
    assert (came.error, came.message) == ("unresolved", f"hooks.example:443 can not be looked up: {error}")


def test_nobody_listening_is_said():
    with receiver() as there:
        pass
    assert posted(there.url).error == "no_connection"


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    with receiver() as proxy, receiver() as there:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert posted(there.url).status == 204
    assert proxy.received == []


@pytest.fixture
def certificate(tmp_path):
    """A certificate for hooks.example that signs itself."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hooks.example"]
    made += ["-addext", "subjectAltName=DNS:hooks.example", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except OSError:
        pytest.skip("openssl is not installed")
    return key, certificate


@pytest.mark.parametrize(("name", "trusted"), [("hooks.example", True), ("other.example", True), ("hooks.example", False)])
def test_the_certificate_has_to_be_the_name_s_although_the_connection_goes_to_an_address(
    certificate, name, trusted, monkeypatch
):
    key, path = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    asked = []
    context.sni_callback = lambda socket, name, context: asked.append(name)

    def behind_tls(receiver, connection, number):
        connection.sendall(answer("204 No Content"))

    with receiver(behind_tls, tls=context) as there:
        names = frozenset({name})
        guard = AddressGuard(private_hosts=names, resolve=lambda host, port: ["127.0.0.1"])
        verify = ssl.create_default_context(cafile=path if trusted else None)

        async def run():
            async with open_poster(verify) as client:
                address = f"https://{name}:{there.port}/"
                return await post(client, address, b"{}", HEADERS, guard=guard, limits=PostLimits(total_seconds=5.0))

        came = asyncio.run(run())
    assert asked == [name]
    if name == "hooks.example" and trusted:
        assert came.status == 204
    else:
        assert (came.error, len(there.received)) == ("no_connection", 0)
        assert "certificate" in came.message
