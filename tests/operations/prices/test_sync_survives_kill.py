"""A sync killed between fetch and commit leaves nothing, and the next one records everything."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from support.presence import present
from support.router import Router, document
from support.victims import start_victim

VICTIM = Path(__file__).with_name("sync_until_killed.py")


@pytest.fixture
def router(bare_meter):
    with ExitStack() as stack:
        yield Router(bare_meter, stack)


@pytest.mark.parametrize("step", ["fetched", "recorded", "alerted"])
def test_a_sync_killed_before_its_commit_leaves_nothing_and_the_next_records_one_version(router, step):
    router.sync()
    router.respond(document(("model-0", "together", 1.5, 2)))
    requests = len(router.loopback.requests)
    process = start_victim(VICTIM, router.meter.url, router.loopback.url, router.meter.now + 1, step)
    try:
        assert present(process.stdout).readline() == b"here\n"
    finally:
        process.kill()
        process.wait(10)
        present(process.stdout).close()
    assert len(router.loopback.requests) == requests + 1
    assert (router.outcomes(), len(router.versions()), len(router.alerts())) == (["recorded"], 1, 1)
    assert router.sync().outcome == "recorded"
    assert (len(router.versions()), len(router.alerts())) == (2, 2)
