"""Whatever becomes of a request, its reservation is settled or released, once."""

import asyncio
import socket
import struct

import pytest

from metering.sidecar.callers import Callers
from metering.sidecar.client_connection import ClientConnection
from metering.sidecar.journal import JournalWriter, SyncPolicy
from metering.sidecar.metered_events import EventMaker
from metering.sidecar.passing import Passing
from metering.sidecar.proxy import Meter, ProxyLimits
from metering.sidecar.proxy_metrics import ProxyMetrics
from metering.sidecar.refusals import Refusal
from metering.sidecar.upstream import Upstream
from metering.sidecar.upstream_address import UpstreamAddress
from support.canned_answers import LOADING, NO_STREAM_OPTIONS, TOO_MANY
from support.priced_wires import WIRES, media_of, respond
from support.upstream_server import Answer, UpstreamServer, json_answer

PATIENCE = 20


class RecordingHold:
    def __init__(self):
        self.ends = []

    def settle(self, event, position):
        self.ends.append(("settled", event.status, position is not None))

    def release(self):
        self.ends.append("released")


class RecordingGate:
    """Lets everything through, at once or once ``opens`` is set, or refuses everything."""

    is_closed = True

    def __init__(self, *, waits=False, refuses=False):
        self.holds = []
        self.requests = []
        self.asked = asyncio.Event()
        self.opens = asyncio.Event()
        self._waits = waits
        self._refuses = refuses

    def try_enter(self, request):
        self.asked.set()
        self.requests.append(request)
        return None if self._waits else self._entered()

    async def enter(self, request):
        await self.opens.wait()
        return self._entered()

    def tick(self):
        """There is nothing to do."""

    def _entered(self):
        if self._refuses:
            return Refusal(402, "budget_exceeded", "no")
        self.holds.append(RecordingHold())
        return self.holds[-1]

    @property
    def ends(self):
        return [each.ends for each in self.holds]


class Proxy:
    """The proxy without its process: it listens on a free port."""

    def __init__(self, folder, port, gate, **limits):
        self.gate = gate
        self.journal = JournalWriter(folder / "journal", 10**8)
        meter = Meter(
            EventMaker("test", "router.huggingface.co"),
            Callers(bytes(32), "acme", {}, ""),
            self.journal,
            SyncPolicy.NEVER,
            ProxyMetrics(),
        )
        upstream = Upstream(UpstreamAddress("127.0.0.1", port, is_tls=False, authority=b"upstream"), None, 2.0)
        self.passing = Passing(upstream, meter, gate, ProxyLimits(**{"drain_seconds": 0.05} | limits))
        self.clients = set()
        self.writers = []

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: ClientConnection(self.passing, self.clients), "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.ticking = loop.create_task(self._tick())
        return self

    async def __aexit__(self, *_):
        self.ticking.cancel()
        self.server.close()
        for exchange in list(self.passing.exchanges):
            exchange.client_gone()
            exchange.expire()
        for client in list(self.clients):
            client.abort()
        self.passing.upstream.close_idle(float("inf"))
        await self.server.wait_closed()
        for writer in self.writers:
            writer.close()
        self.journal.close()
        await asyncio.sleep(0.05)  # transports close in the next rounds of the loop

    async def _tick(self):
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.01)
            for exchange in [each for each in self.passing.exchanges if each.deadline and each.deadline < loop.time()]:
                exchange.expire()

    async def settled(self, holds=1):
        """Wait until so many holds were given and no request is under way; return their ends."""
        async with asyncio.timeout(PATIENCE):
            while len(self.gate.holds) < holds or self.passing.exchanges or not all(self.gate.ends):
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        return self.gate.ends

    async def send(self, wire, cut=0):
        """Send a request, or all but the last ``cut`` bytes of it."""
        path, body = WIRES[wire]
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {media_of(wire)}\r\ncontent-length: {len(body)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        whole = head.encode() + body
        writer.write(whole[: len(whole) - cut])
        await writer.drain()
        return reader, writer


def leave(writer):
    """Reset the connection."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def first_bytes(reader):
    async with asyncio.timeout(PATIENCE):
        return await reader.read(100)


@pytest.fixture
def upstream():
    with UpstreamServer(respond) as server:
        yield server


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_settles_it(tmp_path, upstream, wire, waits):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate(waits=waits)) as proxy:
            reader, writer = await proxy.send(wire)
            proxy.gate.opens.set()
            assert (await first_bytes(reader)).startswith(b"HTTP/1.1 200 ")
            assert await proxy.settled() == [[("settled", 200, True)]]
            writer.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (TOO_MANY, 429),
        (LOADING, 503),
        (json_answer({"error": "no"}, 400), 400),
        (Answer((b"{}",), cut_after=-1, ending="close"), 502),
        (Answer((b"{}",), cut_after=-1, ending="reset"), 502),
        (Answer(raw=b"nonsense\r\n\r\n"), 502),
        (Answer((b'{"id":', b'"x"}'), cut_after=1, ending="reset"), 200),
        (Answer((b"data: {}\n\n",), media="text/event-stream", framing="chunked", cut_after=1, ending="close"), 200),
    ],
)
@pytest.mark.parametrize("wire", ["chat", "form"])
def test_a_failure_settles_it(tmp_path, upstream, answer, status, wire):
    async def body():
        upstream.script(answer)
        async with Proxy(tmp_path, upstream.port, RecordingGate()) as proxy:
            _, writer = await proxy.send(wire)
            assert await proxy.settled() == [[("settled", status, True)]]
            writer.close()

    asyncio.run(body())


def test_an_upstream_that_cannot_be_reached_settles_it(tmp_path):
    async def body():
        async with Proxy(tmp_path, free_port(), RecordingGate()) as proxy:
            reader, writer = await proxy.send("chat")
            assert (await first_bytes(reader)).startswith(b"HTTP/1.1 502 ")
            assert await proxy.settled() == [[("settled", 502, True)]]
            writer.close()

    asyncio.run(body())


def test_a_stalled_answer_settles_it(tmp_path, upstream):
    async def body():
        upstream.script(Answer((b"{}",), cut_after=-1, ending="stall"))
        async with Proxy(tmp_path, upstream.port, RecordingGate(), answer_seconds=0.05) as proxy:
            reader, writer = await proxy.send("chat")
            assert (await first_bytes(reader)).startswith(b"HTTP/1.1 504 ")
            assert await proxy.settled() == [[("settled", 504, True)]]
            writer.close()

    asyncio.run(body())


def test_asking_again_settles_it_once(tmp_path, upstream):
    async def body():
        upstream.script(NO_STREAM_OPTIONS)
        async with Proxy(tmp_path, upstream.port, RecordingGate()) as proxy:
            reader, writer = await proxy.send("chat stream")
            assert (await first_bytes(reader)).startswith(b"HTTP/1.1 200 ")
            assert await proxy.settled() == [[("settled", 200, True)]]
            writer.close()

    asyncio.run(body())


def test_a_client_that_leaves_while_the_gate_thinks_gets_no_reservation_and_no_request_is_made(tmp_path, upstream):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate(waits=True)) as proxy:
            _, writer = await proxy.send("chat")
            await proxy.gate.asked.wait()
            leave(writer)
            while proxy.passing.exchanges:
                await asyncio.sleep(0.005)
            proxy.gate.opens.set()
            assert await proxy.settled() == [["released"]]
            assert upstream.received == []

    asyncio.run(body())


def test_a_client_that_leaves_while_the_gate_refuses_is_not_counted_as_refused(tmp_path, upstream):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate(waits=True, refuses=True)) as proxy:
            _, writer = await proxy.send("chat")
            await proxy.gate.asked.wait()
            leave(writer)
            while proxy.passing.exchanges:
                await asyncio.sleep(0.005)
            proxy.gate.opens.set()
            await asyncio.sleep(0.05)
            assert b'code="budget_exceeded"' not in proxy.passing.meter.metrics.exposed()

    asyncio.run(body())


@pytest.mark.parametrize("wire", ["chat", "chat stream"])
def test_a_client_that_leaves_before_the_answer_settles_it(tmp_path, upstream, wire):
    async def body():
        upstream.script(Answer((b"{}",), cut_after=-1, ending="stall"))
        async with Proxy(tmp_path, upstream.port, RecordingGate()) as proxy:
            _, writer = await proxy.send(wire)
            await asyncio.to_thread(upstream.wait_for, 1)
            leave(writer)
            assert await proxy.settled() == [[("settled", 499, True)]]

    asyncio.run(body())


def test_a_client_that_leaves_in_the_middle_of_a_form_settles_it(tmp_path, upstream):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate()) as proxy:
            _, writer = await proxy.send("form", cut=1_000)
            await proxy.gate.asked.wait()
            leave(writer)
            (ends,) = await proxy.settled()
            assert len(ends) == 1

    asyncio.run(body())


def test_a_request_that_never_arrives_whole_settles_it(tmp_path, upstream):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate()) as proxy:
            reader, writer = await proxy.send("form", cut=1_000)
            await proxy.gate.asked.wait()
            for client in list(proxy.clients):
                client.expire()
            assert (await first_bytes(reader)).startswith(b"HTTP/1.1 408 ")
            (ends,) = await proxy.settled()
            assert len(ends) == 1
            writer.close()

    asyncio.run(body())


def test_an_event_that_the_journal_has_no_room_for_settles_it_without_a_position(tmp_path, upstream):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate()) as proxy:
            proxy.journal.max_bytes = 1
            _, writer = await proxy.send("chat")
            assert await proxy.settled() == [[("settled", 200, False)]]
            writer.close()

    asyncio.run(body())


def test_an_event_that_cannot_be_made_releases_it(tmp_path, upstream, monkeypatch):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate()) as proxy:
            monkeypatch.setattr(EventMaker, "event_of", lambda *_: 1 // 0)
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            _, writer = await proxy.send("chat")
            async with asyncio.timeout(PATIENCE):
                while proxy.gate.ends != [["released"]]:
                    await asyncio.sleep(0.005)
            writer.close()

    asyncio.run(body())


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("wire", ["chat", "messages", "form"])
def test_a_refused_request_is_not_passed_on_and_is_no_event(tmp_path, upstream, wire, waits):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate(waits=waits, refuses=True)) as proxy:
            proxy.gate.opens.set()
            reader, writer = await proxy.send(wire)
            assert (await first_bytes(reader)).startswith(b"HTTP/1.1 402 ")
            assert proxy.journal.appended == 0
            assert upstream.received == []
            writer.close()

    asyncio.run(body())


def test_requests_that_are_no_inference_ask_no_gate(tmp_path, upstream):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate(refuses=True)) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
            upstream.script(json_answer({"data": []}))
            assert (await first_bytes(reader)).startswith(b"HTTP/1.1 200 ")
            assert not proxy.gate.asked.is_set()
            writer.close()

    asyncio.run(body())


def test_the_gate_is_asked_about_what_the_request_states(tmp_path, upstream):
    async def body():
        async with Proxy(tmp_path, upstream.port, RecordingGate(), max_buffered_body=60) as proxy:
            for wire in ("chat", "form", "provider path"):
                _, writer = await proxy.send(wire)
                await proxy.settled(len(proxy.gate.requests))
                writer.close()
            chat, form, named = proxy.gate.requests
            # A JSON body that is too long to be read whole is known by its size, and by the model at its start.
            size = len(WIRES["chat"][1])
            assert (chat.facts.model, chat.provider, chat.input_tokens) == ("llama", "unknown", 0)
            assert (chat.body_bytes, chat.unread_bytes) == (size, size)
            assert (form.facts.model, form.body_bytes, form.unread_bytes) == ("whisper", len(WIRES["form"][1]), 0)
            assert (named.provider, named.path) == ("together", "/together/v1/chat/completions")

    asyncio.run(body())
