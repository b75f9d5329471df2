"""Budgets that block, over real HTTP: bursts of parallel requests end at or under the limit, on every wire.

Every request costs and reserves 32,000 nano-USD (``priced_wires``), so a budget of $0.001 has room for 31 of them: they cost
$0.000992, and a 32nd would make it $0.001024.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import threading
import time
from collections import Counter
from functools import partial
from itertools import cycle, islice
from typing import Any, NamedTuple

import httpx
import pytest

from metering.domain.budgets.budgets import Action, BudgetTerms
from metering.operations.budgets.manage_budgets import Author, change_budget, create_budget
from support.canned_answers import NO_STREAM_OPTIONS, TOO_MANY
from support.meter import PLANS, metered
from support.priced_wires import COST_NANO, WIRES, expensive, media_of, prices, respond
from support.running_sidecar import RunningSidecar
from support.serving_process import until
from support.started_process import PATIENCE
from support.upstream_server import Answer, UpstreamServer

LIMIT_NANO, FITTING = 1_000_000, 31
SPENT_NANO = FITTING * COST_NANO
BURST = 200


@pytest.fixture(scope="module")
def meter(sqlite_databases):
    with metered(sqlite_databases) as made:
        made.record_prices(prices())
        made.now = time.time_ns() // 1_000
        yield made


@pytest.fixture(scope="module")
def upstream():
    with UpstreamServer(respond) as server:
        yield server


@pytest.fixture(scope="module")
def sidecar(meter, upstream, tmp_path_factory):
    with RunningSidecar(tmp_path_factory.mktemp("sidecar"), upstream.url, meter.url, is_router="yes") as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_scripted(upstream):
    upstream.clear()
    upstream.respond = respond


def budget_of(meter, account, **terms):
    """Declare an account with a budget that blocks."""
    meter.declare(account)
    fields: dict[str, Any] = {
        "amount_nano": LIMIT_NANO,
        "action": Action.BLOCK,
        "block_percent": 100,
        "name": f"cap of {account}",
    } | terms
    return create_budget(meter.engine, account, BudgetTerms(**fields), Author("a test", meter.now), PLANS).budget.id


def learned(running, account, wires, **headers):
    """Wait until a sidecar knows the budget of an account and the rates of wires. Nothing is spent on it."""
    probe = headers | {"x-probe": "yes"}
    until(lambda: burst(running, account, ["chat"], change=expensive, **probe)[402])
    for wire in set(wires) - {"form"}:
        until(partial(_is_refused, running, account, wire, probe))
    if "form" in wires:
        burst(running, account, ["form"], **probe)


def _is_refused(running, account, wire, probe):
    return burst(running, account, [wire], change=expensive, **probe)[402]


def burst(running, account, wires, *, change=bytes, **headers):
    """Make requests on these wires all at once; return how many had which status."""
    return Counter(answer.status_code for answer in answers(running, account, wires, change=change, **headers))


def answers(running, account, wires, *, change=bytes, **headers):
    """Make requests on these wires all at once, each on a separate connection; return the answers."""

    async def made():
        return await asyncio.gather(*(asked(running, account, wire, change(WIRES[wire][1]), headers) for wire in wires))

    return asyncio.run(made())


async def asked(running, account, wire, content, headers):
    fields = {
        "host": "sidecar",
        "connection": "close",
        "content-type": media_of(wire),
        "content-length": str(len(content)),
        "x-hf-bill-to": account,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(f"POST {WIRES[wire][0]} HTTP/1.1\r\n{head}\r\n".encode() + content)
        received = await reader.read()
        writer.close()
    first, _, rest = received.partition(b"\r\n")
    lines, _, document = rest.partition(b"\r\n\r\n")
    return HttpAnswer(int(first.split()[1]), lines.decode(), document)


class HttpAnswer(NamedTuple):
    status_code: int
    head: str
    body: bytes

    def json(self):
        return json.loads(self.body)


def total_of(meter, account, answered):
    """Wait until so many requests of an account with a price are stored; return what they cost."""

    def spend():
        rows = meter.spend(filters={"account": (account,)})
        return rows if sum(row.events - row.failed_events - row.unpriced_events for row in rows) >= answered else False

    return sum(row.amount_nano for row in until(spend, f"not {answered} answered requests of {account}"))


def reserved(running):
    return running.metrics()[("sidecar_reserved_usd",)]


@pytest.mark.parametrize("wire", WIRES)
def test_a_burst_on_one_wire_spends_up_to_the_limit_and_no_further(sidecar, meter, wire):
    account = wire.replace(" ", "-")
    budget_of(meter, account)
    learned(sidecar, account, [wire])
    assert burst(sidecar, account, [wire] * BURST) == Counter({200: FITTING, 402: BURST - FITTING})
    assert total_of(meter, account, FITTING) == SPENT_NANO
    assert reserved(sidecar) == 0


def test_a_burst_on_all_wires_spends_up_to_the_limit_and_no_further(sidecar, meter):
    budget_of(meter, "mixed")
    learned(sidecar, "mixed", WIRES)
    wires = list(islice(cycle(WIRES), BURST))
    assert burst(sidecar, "mixed", wires) == Counter({200: FITTING, 402: BURST - FITTING})
    assert total_of(meter, "mixed", FITTING) == SPENT_NANO
    # Now that everything is stored, nothing is counted twice and nothing is forgotten.
    assert burst(sidecar, "mixed", wires[:20]) == Counter({402: 20})
    assert reserved(sidecar) == 0


def test_money_is_reserved_while_requests_are_in_flight(sidecar, meter, upstream):
    budget_of(meter, "in-flight")
    learned(sidecar, "in-flight", ["chat"])
    upstream.clear()
    may_answer = threading.Event()
    upstream.respond = lambda asked: gated(asked, may_answer)
    done = []
    worker = threading.Thread(target=lambda: done.append(burst(sidecar, "in-flight", ["chat"] * 40)))
    worker.start()
    upstream.wait_for(FITTING)
    until(lambda: round(reserved(sidecar) * 10**9) == SPENT_NANO)
    may_answer.set()
    worker.join(PATIENCE)
    assert done == [Counter({200: FITTING, 402: 9})]
    assert reserved(sidecar) == 0


def gated(asked, event):
    answer = respond(asked)
    answer.gate = (-1, event)
    return answer


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        ("chat", "insufficient_quota"),
        ("responses", "insufficient_quota"),
        ("form", "insufficient_quota"),
        ("messages", "billing_error"),
    ],
)
def test_the_refusal_is_shaped_as_the_clients_sdk_reads_it(sidecar, meter, wire, kind):
    account = f"refused-{wire}"
    budget = budget_of(meter, account, amount_nano=COST_NANO)
    learned(sidecar, account, [wire])
    assert burst(sidecar, account, [wire]) == Counter({200: 1})
    assert total_of(meter, account, 1) == COST_NANO
    (answer,) = answers(sidecar, account, [wire])
    document = answer.json()
    error = document["error"]
    assert answer.status_code == 402
    assert error["code"] == "budget_exceeded"
    assert "x-metering-error: budget_exceeded" in answer.head.splitlines()
    assert (error["type"], document.get("type")) == (kind, "error" if wire == "messages" else None)
    assert error["budget"] == f"cap of {account}"
    assert error["budget_id"] == budget
    assert (error["spent_usd"], error["limit_usd"]) == ("0.000032000", "0.000032000")
    assert error["resets_at"].endswith("-01T00:00:00.000000Z")
    assert "is used up: $0.000032 of $0.000032 is spent" in error["message"]


def test_a_long_form_is_refused_before_it_has_arrived_and_the_client_reads_why(sidecar, meter):
    budget_of(meter, "long-form", amount_nano=1)
    learned(sidecar, "long-form", ["form"])
    start = (
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nx-hf-bill-to: long-form\r\n"
        b"content-type: multipart/form-data; boundary=b\r\ncontent-length: 50000000\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    )
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=PATIENCE) as client:
        client.sendall(start)
        client.sendall(bytes(20_000_000))
        received = b""
        while b"budget_exceeded" not in received:
            piece = client.recv(65_536)
            assert piece, received
            received += piece
    assert received.startswith(b"HTTP/1.1 402 ")
    assert b"connection: close" in received


def test_failures_leave_no_phantom_block(sidecar, meter, upstream):
    budget_of(meter, "failures")
    learned(sidecar, "failures", ["chat", "form"])
    failing = [
        *(Answer((b"{}",), status) for status in (400, 401, 404, 500, 502, 503)),
        TOO_MANY,
        Answer((b"{}",), cut_after=-1, ending="reset"),
        Answer((b"{}",), cut_after=-1, ending="close"),
        Answer(raw=b"nonsense\r\n\r\n"),
    ] * 5
    upstream.script(*failing)
    # Each of them reserves; in batches, so that they fit.
    for _ in range(2):
        assert burst(sidecar, "failures", ["chat"] * 25)[402] == 0
    leave_early(sidecar, upstream, "failures")
    assert reserved(sidecar) == 0
    upstream.clear()
    assert burst(sidecar, "failures", ["chat"] * 60) == Counter({200: FITTING, 402: 60 - FITTING})
    assert total_of(meter, "failures", FITTING) == SPENT_NANO


def leave_early(running, upstream, account):
    """Make requests whose client leaves: before it has sent everything, and before the answer."""
    upstream.clear()
    upstream.respond = lambda asked: Answer((b"{}",), cut_after=0, ending="stall")
    path, body = WIRES["chat"]
    head = "POST {} HTTP/1.1\r\nhost: x\r\nx-hf-bill-to: {}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n"
    whole = head.format(path, account, "application/json", len(body)).encode() + body
    form = head.format(WIRES["form"][0], account, media_of("form"), 900_000).encode() + WIRES["form"][1]
    for sent in (whole[:-5], form):
        for _ in range(10):
            client = connected(running)
            client.sendall(sent)
            client.close()
    clients = [connected(running) for _ in range(10)]
    for client in clients:
        client.sendall(whole)
    upstream.wait_for(10)
    for client in clients:
        client.close()
    until(lambda: reserved(running) == 0)
    upstream.respond = respond


def connected(running):
    """Return a connection that is reset when it is closed."""
    client = socket.create_connection(("127.0.0.1", running.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return client


def test_a_request_that_is_asked_again_without_usage_reserves_and_counts_once(sidecar, meter, upstream):
    budget_of(meter, "again", amount_nano=2 * COST_NANO)
    learned(sidecar, "again", ["chat stream"])
    upstream.clear()
    upstream.script(NO_STREAM_OPTIONS)
    assert burst(sidecar, "again", ["chat stream"]) == Counter({200: 1})
    assert reserved(sidecar) == 0
    assert len(upstream.received) == 2
    assert burst(sidecar, "again", ["chat"] * 3)[200] == 1


def test_a_scope_blocks_only_what_is_in_it(sidecar, meter):
    budget_of(meter, "scoped", scope={"project": ("search",)}, amount_nano=3 * COST_NANO)
    learned(sidecar, "scoped", ["chat"], **{"x-metering-project": "search"})
    assert burst(sidecar, "scoped", ["chat"] * 10, **{"x-metering-project": "search"}) == Counter({200: 3, 402: 7})
    assert burst(sidecar, "scoped", ["chat"] * 10) == Counter({200: 10})
    assert burst(sidecar, "scoped", ["chat"] * 5, **{"x-metering-project": "search"}) == Counter({402: 5})


def test_a_budget_that_is_raised_lets_requests_through_again(sidecar, meter):
    budget = budget_of(meter, "raised", amount_nano=COST_NANO)
    learned(sidecar, "raised", ["chat"])
    assert burst(sidecar, "raised", ["chat"] * 5) == Counter({200: 1, 402: 4})
    change_budget(meter.engine, budget, {"amount_nano": 3 * COST_NANO}, Author("a test", meter.now), PLANS)
    until(lambda: burst(sidecar, "raised", ["chat"])[200] == 1)
    assert burst(sidecar, "raised", ["chat"] * 5) == Counter({200: 1, 402: 4})
    assert total_of(meter, "raised", 3) == 3 * COST_NANO


def test_two_sidecars_pass_the_limit_by_at_most_what_was_left_when_they_last_read_it(meter, upstream, tmp_path):
    """Both have room for 31 requests, and neither knows what the other has let through until it is stored."""
    budget_of(meter, "two")
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    with (
        RunningSidecar(folders[0], upstream.url, meter.url, "--source", "one", is_router="yes") as one,
        RunningSidecar(folders[1], upstream.url, meter.url, "--source", "other", is_router="yes") as other,
    ):
        for each in (one, other):
            learned(each, "two", ["chat"])
        upstream.clear()
        may_answer = threading.Event()
        upstream.respond = lambda asked: gated(asked, may_answer)
        done = []
        workers = [threading.Thread(target=lambda at=at: done.append(burst(at, "two", ["chat"] * 40))) for at in (one, other)]
        for worker in workers:
            worker.start()
        upstream.wait_for(2 * FITTING)
        may_answer.set()
        for worker in workers:
            worker.join(PATIENCE)
        assert done == [Counter({200: FITTING, 402: 9})] * 2
        assert total_of(meter, "two", 2 * FITTING) == 2 * SPENT_NANO <= LIMIT_NANO + (LIMIT_NANO - 0)
        # Each hears of what the other one stored, and the limit holds.
        for each in (one, other):
            until(partial(_says, each, "two", "$0.001984 of"))


def _says(running, account, what):
    """Whether the refusal of an expensive request says this."""
    return what in answers(running, account, ["chat"], change=expensive)[0].json()["error"]["message"]


def test_what_another_sidecar_stored_is_heard_of(sidecar, meter, upstream, tmp_path):
    budget_of(meter, "shared")
    learned(sidecar, "shared", ["chat"])
    assert burst(sidecar, "shared", ["chat"] * 10) == Counter({200: 10})
    with RunningSidecar(tmp_path, upstream.url, meter.url, "--source", "another", is_router="yes") as other:
        assert total_of(meter, "shared", 10) == 10 * COST_NANO
        learned(other, "shared", ["chat"])
        assert burst(other, "shared", ["chat"] * 20) == Counter({200: 20})
        assert total_of(meter, "shared", 30) == 30 * COST_NANO
    until(partial(_says, sidecar, "shared", "$0.00096 of"))
    assert burst(sidecar, "shared", ["chat"] * 5) == Counter({200: 1, 402: 4})


def test_a_process_that_stores_and_is_killed_neither_forgets_nor_repeats_spend(sidecar, meter):
    budget_of(meter, "killed")
    learned(sidecar, "killed", ["chat"])
    assert burst(sidecar, "killed", ["chat"] * 20) == Counter({200: 20})
    first = sidecar.shipper()
    os.kill(first, signal.SIGKILL)
    until(lambda: sidecar.shipper() not in (0, first))
    assert total_of(meter, "killed", 20) == 20 * COST_NANO
    assert burst(sidecar, "killed", ["chat"] * 40) == Counter({200: FITTING - 20, 402: 40 - FITTING + 20})
    assert total_of(meter, "killed", FITTING) == SPENT_NANO


def test_a_sidecar_that_starts_again_goes_on_where_it_was(meter, upstream, tmp_path):
    budget_of(meter, "restarted")
    with RunningSidecar(tmp_path, upstream.url, meter.url, is_router="yes") as running:
        # The first requests of a sidecar wait until it knows the budgets.
        assert burst(running, "restarted", ["chat"] * 20) == Counter({200: 20})
        running.stop()
    with RunningSidecar(tmp_path, upstream.url, meter.url, is_router="yes") as running:
        learned(running, "restarted", ["chat"])
        assert burst(running, "restarted", ["chat"] * 40) == Counter({200: FITTING - 20, 402: 40 - FITTING + 20})


@pytest.mark.parametrize(("when_unknown", "status"), [("open", 200), ("closed", 503)])
def test_while_budgets_cannot_be_read_the_setting_decides(meter, upstream, tmp_path, when_unknown, status):
    with RunningSidecar(tmp_path, upstream.url, meter.url, is_router="yes", when_unknown=when_unknown) as running:
        os.kill(running.shipper(), signal.SIGSTOP)
        (answer,) = answers(running, "nobody", ["chat"])
        assert answer.status_code == status
        if status == 503:
            assert answer.json()["error"]["code"] == "budgets_unknown"
            assert "retry-after: 5" in answer.head
            assert httpx.get(f"{running.address}/v1/models", trust_env=False).status_code != 503
