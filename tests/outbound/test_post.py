"""A POST is limited in time and size, goes only to the checked address, follows no redirect and never raises."""

import asyncio
import ssl
import subprocess
import threading

import pytest

from metering.outbound.addresses import AddressGuard
from metering.outbound.post import PostLimits, open_poster, post
from support.receiver import dripping, endless, receiver, refused, reset, responding, response, silent

LOOPBACK = frozenset({"127.0.0.1"})
GUARD = AddressGuard(LOOPBACK, LOOPBACK)
HEADERS = {"webhook-id": "msg_1"}


def posted(address, guard=GUARD, **limits):
    async def run():
        async with open_poster() as client:
            limited = PostLimits(**{"total_seconds": 5.0} | limits)
            return await post(client, address, b"{}", HEADERS, guard=guard, limits=limited)

    return asyncio.run(run())


def test_a_request_is_sent_with_its_body_and_headers_and_its_response_returned():
    with receiver(refused("202 Accepted", b"thanks", retry_after="7")) as hook:
        result = posted(hook.url + "?a=b")
    (request,) = hook.received
    assert (request.target, request.body, request.id) == ("/hook?a=b", b"{}", "msg_1")
    assert request.headers["host"] == f"127.0.0.1:{hook.port}"
    assert (result.status, result.answer, result.retry_after, result.error) == (202, "thanks", 7.0, "")


@pytest.mark.parametrize(
    ("behavior", "code"),
    [
        (reset, "broken_off"),
        (silent, "too_slow"),
        (dripping, "too_slow"),
        (responding(b""), "broken_off"),
        (responding(b"SSH-2.0-OpenSSH_9.6\r\n"), "broken_off"),
        (responding(b"HTTP/1.1 two hundred\r\n\r\n"), "broken_off"),
        (responding(b"\x00\xff" * 1_000), "broken_off"),
        (responding(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000), "broken_off"),
    ],
    ids=["reset", "silent", "dripping", "nothing", "another protocol", "no status", "garbage", "endless headers"],
)
def test_a_misbehaving_receiver_costs_a_limited_time(behavior, code):
    with receiver(behavior) as hook:
        result = posted(hook.url, total_seconds=1.0)
    assert (result.status, result.error) == (None, code)
    assert result.message


def test_only_the_start_of_an_endless_response_is_kept():
    with receiver(endless) as hook:
        result = posted(hook.url, answer_bytes=100)
    assert (result.status, result.answer) == (500, "x" * 100)


def test_an_interrupted_response_keeps_its_status():
    with receiver(responding(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")) as hook:
        result = posted(hook.url)
    assert (result.status, result.answer) == (200, "half")


def test_unprintable_characters_of_a_response_are_replaced():
    with receiver(refused(body=b"\x1b[31mred\x00\xff\nline")) as hook:
        result = posted(hook.url)
    assert result.answer == "\ufffd[31mred\ufffd\ufffd\nline"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_never_followed(status):
    with receiver() as inner, receiver(refused(status, location=inner.url)) as hook:
        result = posted(hook.url)
    assert result.status == int(status[:3])
    assert (len(hook.received), len(inner.received)) == (1, 0)


def test_nothing_is_sent_to_a_host_that_resolves_to_an_internal_address():
    with receiver() as hook:
        guard = AddressGuard(frozenset({"hooks.example"}), resolve=lambda host, port: ["127.0.0.1"])
        result = posted(f"http://hooks.example:{hook.port}/", guard)
    assert (result.status, result.error) == (None, "forbidden_address")
    assert hook.received == []


def test_a_host_is_resolved_once_and_the_checked_address_is_used():
    answers = [["127.0.0.1"], ["10.255.255.1"], ["10.255.255.1"]]
    resolved = []

    def rebinding(host, port):
        resolved.append(host)
        return answers[len(resolved) - 1]

    with receiver() as hook:
        names = frozenset({"hooks.example"})
        result = posted(f"http://hooks.example:{hook.port}/", AddressGuard(names, names, resolve=rebinding))
    assert (result.status, resolved) == (204, ["hooks.example"])
    assert hook.received[0].headers["host"] == f"hooks.example:{hook.port}"


def test_the_next_address_is_tried_if_the_first_refuses_the_connection():
    with receiver() as hook:
        names = frozenset({"hooks.example"})
        guard = AddressGuard(names, names, resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
        assert posted(f"http://hooks.example:{hook.port}/", guard).status == 204


def test_a_name_service_that_hangs_costs_a_limited_time():
    over = threading.Event()

    def hanging(host, port):
        over.wait(20)
        return ["127.0.0.1"]

    result = posted("https://hooks.example/", AddressGuard(resolve=hanging), total_seconds=0.3)
    over.set()
    assert result.error == "too_slow"


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
def test_a_host_that_does_not_resolve_is_an_error(error):
    def failing(host, port):
        raise error

    result = posted("https://hooks.example/", AddressGuard(resolve=failing))
    assert (result.error, result.message) == ("unresolved", f"cannot resolve hooks.example:443: {error}")


def test_a_refused_connection_is_an_error():
    with receiver() as hook:
        pass
    assert posted(hook.url).error == "no_connection"


def test_a_proxy_from_the_environment_is_not_used(monkeypatch):
    with receiver() as proxy, receiver() as hook:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert posted(hook.url).status == 204
    assert proxy.received == []


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for hooks.example."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hooks.example"]
    command += ["-addext", "subjectAltName=DNS:hooks.example", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except OSError:
        pytest.skip("openssl is not installed")
    return key, certificate


@pytest.mark.parametrize(("name", "trusted"), [("hooks.example", True), ("other.example", True), ("hooks.example", False)])
def test_the_certificate_must_match_the_host_although_the_connection_uses_an_ip_address(
    certificate, name, trusted, monkeypatch
):
    key, path = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    server_names = []
    context.sni_callback = lambda socket, name, context: server_names.append(name)

    def behind_tls(receiver, connection, number):
        connection.sendall(response("204 No Content"))

    with receiver(behind_tls, tls=context) as hook:
        names = frozenset({name})
        guard = AddressGuard(private_hosts=names, resolve=lambda host, port: ["127.0.0.1"])
        verify = ssl.create_default_context(cafile=path if trusted else None)

        async def run():
            async with open_poster(verify) as client:
                address = f"https://{name}:{hook.port}/"
                return await post(client, address, b"{}", HEADERS, guard=guard, limits=PostLimits(total_seconds=5.0))

        result = asyncio.run(run())
    assert server_names == [name]
    if name == "hooks.example" and trusted:
        assert result.status == 204
    else:
        assert (result.error, len(hook.received)) == ("no_connection", 0)
        assert "certificate" in result.message
