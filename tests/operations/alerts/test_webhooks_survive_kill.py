"""After ``kill -9`` while raising and sending, twenty times, each alert exists once and was sent at least once under one id."""

import random
import time
from collections import defaultdict
from pathlib import Path

from sqlalchemy import select

from metering.storage.tables import alerts
from support.presence import present
from support.receiver import receiver
from support.victims import start_victim
from support.webhook_builders import create_endpoint, deliveries_of

VICTIM = Path(__file__).with_name("webhooks_until_killed.py")
ALERTS = 400
KILLS = 20


def kill(process):
    process.kill()
    process.wait(10)
    process.stdout.close()


def test_killed_at_any_moment_no_alert_is_raised_twice_and_every_one_is_sent(bare_meter):
    # On PostgreSQL there are two replicas; one of them is killed at a time.
    replicas = 1 if bare_meter.on_sqlite else 2
    chance = random.Random(7)
    with receiver(pausing) as hook:
        create_endpoint(bare_meter, hook.url)
        processes = [start_victim(VICTIM, bare_meter.url, ALERTS) for _ in range(replicas)]
        for number in range(KILLS):
            victim = number % replicas
            assert present(processes[victim].stdout).readline() in (b"started\n", b"")
            time.sleep(chance.random() / 5)
            kill(processes[victim])
            processes[victim] = start_victim(VICTIM, bare_meter.url, ALERTS)
        for process in processes:
            output, _ = process.communicate(timeout=90)
            assert output.endswith(b"done\n")
        received = list(hook.received)
    logs = deliveries_of(bare_meter, 1)
    raised = [row.subject for row in bare_meter.rows(select(alerts.c.subject).order_by(alerts.c.id))]
    assert sorted(raised) == sorted(f"budget:{number}" for number in range(ALERTS))
    assert len(logs) == ALERTS
    assert {each.delivery.status for each in logs} == {"delivered"}
    ids = defaultdict(set)
    for request in received:
        ids[request.document["data"]["subject"]].add(request.id)
    assert ids.keys() == set(raised)
    assert {len(each) for each in ids.values()} == {1}
    assert {name for each in ids.values() for name in each} == {each.delivery.message for each in logs}


def pausing(receiver, connection, number):
    """Accept after a moment, so that many deliveries are in progress whenever a process is killed."""
    receiver.stopped.wait(0.02)
    connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
