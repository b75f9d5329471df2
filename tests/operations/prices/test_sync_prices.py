"""A sync records changed prices, leaves a list that changes too much pending, and changes no price if it fails."""

import json
import threading
from contextlib import ExitStack

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from metering.domain.errors import NotFoundError
from metering.operations.prices.accept_sync import SyncNotPendingError, accept_sync
from metering.operations.prices.pending_table import read_table
from metering.operations.prices.sync_prices import preview_sync, source_health, sync_prices
from metering.operations.prices.sync_settings import SyncSettings
from metering.storage.tables import charges, price_syncs, rate_prices, rates
from pricing.tables import Layer
from support.builders import price_table, rate, usage_event
from support.loopback_source import RESET, answer, models
from support.presence import present
from support.router import FAILURES, SOURCE, Router, document

DEAR = ("model-0", "together", 20.0, 2.0)
"""Twenty times the price."""


@pytest.fixture
def router(bare_meter):
    with ExitStack() as stack:
        yield Router(bare_meter, stack)


def prices_of(router, table_id):
    wanted = (
        select(rates.c.model, rate_prices.c.price_pico)
        .join(rate_prices, rate_prices.c.rate_id == rates.c.id)
        .where(rates.c.table_id == table_id, rate_prices.c.quantity == "input_tokens")
    )
    return {row.model: row.price_pico for row in router.meter.rows(wanted)}


def test_the_first_list_is_recorded_effective_from_when_it_was_fetched(router):
    row = router.sync()
    (version,) = router.versions()
    assert (row.outcome, row.table_id, row.error_code) == ("recorded", version.id, "")
    assert (version.kind, version.route, version.effective_from) == ("snapshot", "routed", router.meter.now)
    # a dollar per million tokens is a million pico-USD per token
    assert prices_of(router, version.id) == {f"model-{number}": 1_000_000 for number in range(10)}
    assert router.loopback.requests[0]["host"] in router.settings.router_url


def test_the_router_is_fetched_without_a_token(router):
    router.sync()
    assert "authorization" not in router.loopback.requests[0]


def test_the_same_list_again_records_nothing(router):
    router.sync()
    assert router.sync().outcome == "unchanged"
    assert (len(router.versions()), len(router.alerts())) == (1, 1)


def test_an_etag_avoids_fetching_an_unchanged_list(router):
    router.sync(document(etag='"one"'))
    row = router.sync(answer(status="304 Not Modified"))
    assert (row.outcome, row.etag) == ("unchanged", '"one"')
    assert router.loopback.requests[-1]["if-none-match"] == '"one"'
    assert router.sync(answer(status="304 Not Modified")).outcome == "unchanged"
    assert router.loopback.requests[-1]["if-none-match"] == '"one"'


def test_a_change_is_a_new_table_with_its_changes_and_one_alert(router):
    router.sync()
    row = router.sync(document(("model-0", "together", 1.5, 2.0), ("new", "novita", 1, 1), without=("model-9",)))
    assert row.outcome == "recorded"
    changes = [
        (each["model"], each["quantity"], each["change"], each["before"], each["after"]) for each in json.loads(row.changes)
    ]
    assert changes == [
        ("new", "input_tokens", "added", None, [1_000_000, 1]),
        ("new", "output_tokens", "added", None, [1_000_000, 1]),
        ("model-0", "input_tokens", "raised", [1_000_000, 1], [1_500_000, 1]),
        ("model-9", "input_tokens", "withdrawn", [1_000_000, 1], None),
        ("model-9", "output_tokens", "withdrawn", [2_000_000, 1], None),
    ]
    (_, alert) = router.alerts()
    assert (alert["source"], alert["table_id"], alert["changes"]) == (SOURCE, row.table_id, 5)
    shown = alert["first_changes"]
    assert [each["model"] for each in shown] == ["new", "new", "model-0", "model-9", "model-9"]
    assert (shown[2]["before"], shown[2]["after"]) == (
        {"price_usd": "0.000001000000", "per": 1, "unit": "token"},
        {"price_usd": "0.000001500000", "per": 1, "unit": "token"},
    )
    assert (shown[0]["before"], shown[3]["after"]) == (None, None)


def test_a_request_is_priced_at_the_price_in_force_when_it_started(router):
    router.meter.declare("acme")
    router.sync()
    first = router.meter.now
    router.sync(document(("model-0", "together", 2, 2)))
    for at, number in ((first, 1), (first + 999_999, 2), (first + 1_000_000, 3)):
        router.meter.ingest(usage_event(id=f"e{number}", model="model-0", time=at))
    # 100 tokens in at $1 (then $2) and 10 out at $2 per million
    assert router.meter.total() == 120_000 + 120_000 + 220_000
    assert not router.meter.violations()


def test_the_first_list_is_compared_with_the_bundled_record(router):
    router.meter.record_prices(
        price_table(rate(2_000_000, 2_000_000, model="model-0"), source=SOURCE, layer=Layer.BUNDLED, route="routed")
    )
    row = router.sync()
    change = next(each for each in json.loads(row.changes) if each["model"] == "model-0")
    assert (change["quantity"], change["before"], change["after"]) == ("input_tokens", [2_000_000, 1], [1_000_000, 1])


def test_a_price_only_in_the_bundled_record_is_withdrawn_by_the_first_list_and_stays_withdrawn(router):
    router.meter.declare("acme")
    router.meter.record_prices(price_table(rate(model="old"), source=SOURCE, layer=Layer.BUNDLED, route="routed"))
    router.settings = SyncSettings(router.settings.router_url, max_changed_percent=100, max_vanished_percent=100)
    router.meter.ingest(usage_event(model="old", time=router.meter.now))
    assert router.meter.total() == 120_000
    for script in (document(), document(("model-0", "together", 1.5, 2))):
        assert router.sync(script).outcome == "recorded"
        router.meter.ingest(usage_event(model="old", time=router.meter.now))
        assert router.meter.total() == 120_000


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_fetch_changes_nothing_and_is_recorded(router, failure):
    script, code, message = FAILURES[failure]
    router.sync()
    row = router.sync(script)
    assert (row.outcome, row.error_code) == ("failed", code)
    assert message in row.error_message
    assert (len(router.versions()), len(router.alerts())) == (1, 1)
    health = source_health(router.meter.engine)
    assert (health.consecutive_failures, health.last_failure_at) == (1, router.meter.now)
    assert health.last_success_at == router.meter.now - 1_000_000
    assert router.sync(document()).outcome == "unchanged"
    assert source_health(router.meter.engine).consecutive_failures == 0


def test_a_transient_failure_is_retried(router):
    reset = [document()[0][:-10], RESET]
    assert router.sync(reset, answer(status="500 Internal Server Error"), document()).outcome == "recorded"
    busy = answer(status="429 Too Many Requests", retry_after="1")
    assert router.sync(busy, document()).outcome == "unchanged"


@pytest.mark.parametrize(
    "script",
    [document(DEAR), document(("model-0", "together", 0.05, 2.0)), document(without=tuple(f"model-{n}" for n in range(3)))],
    ids=["twenty times the price", "a twentieth of the price", "three of ten gone"],
)
def test_a_list_that_changes_too_much_is_pending_and_changes_nothing(router, script):
    router.sync()
    row = router.sync(script)
    assert (row.outcome, row.table_id) == ("held", None)
    assert json.loads(row.reasons)
    assert json.loads(row.changes)
    assert (len(router.versions()), len(router.alerts())) == (1, 1)
    assert source_health(router.meter.engine).waiting == row.id


def test_a_price_that_becomes_0_without_is_free_is_pending_and_stays_in_force(router):
    router.sync()
    row = router.sync(document(("model-0", "together", 0.0, 0.0)))
    assert (row.outcome, [reason["code"] for reason in json.loads(row.reasons)]) == ("held", ["zero_price"])
    router.meter.ingest(usage_event(model="model-0", time=router.meter.now))
    # 100 tokens in at $1.00 and 10 out at $2.00 a million.
    assert router.meter.total() == 120_000
    accept_sync(router.meter.engine, row.id, now=router.meter.now)
    assert router.sync(document(("model-0", "together", 0.0, 0.0))).outcome == "unchanged"


def test_a_new_model_at_0_without_is_free_has_no_price_and_holds_nothing(router):
    router.sync()
    row = router.sync(document(("new", "together", 0.0, 0.0), ("other", "together", 1.0, 1.0)))
    assert row.outcome == "recorded"
    assert "new" not in prices_of(router, row.table_id)


def test_a_list_without_any_known_model_is_pending(router):
    router.sync()
    assert router.sync(models(("another", "together", 1, 1))).outcome == "held"


def test_the_limits_come_from_the_settings(router):
    router.sync()
    router.settings = SyncSettings(router.settings.router_url, max_factor=20, max_changed_percent=30, max_vanished_percent=20)
    assert router.sync(document(DEAR, without=("model-8", "model-9"))).outcome == "recorded"


def test_an_accepted_list_is_effective_from_when_it_was_fetched(router):
    router.meter.declare("acme")
    router.sync()
    pending = router.sync(document(DEAR))
    fetched_at = router.meter.now
    router.meter.now += 60_000_000
    router.meter.ingest(usage_event(id="before", model="model-0", time=fetched_at + 1))
    accepted = accept_sync(router.meter.engine, pending.id, now=router.meter.now)
    assert (accepted.outcome, accepted.decides, accepted.changes) == ("accepted", pending.id, pending.changes)
    version = router.versions()[-1]
    assert (version.id, version.effective_from, version.recorded_at) == (accepted.table_id, fetched_at, router.meter.now)
    assert prices_of(router, version.id)["model-0"] == 20_000_000
    assert [alert["table_id"] for alert in router.alerts()][-1] == version.id
    # charges before the decision stay: 100 tokens in at $1 and 10 out at $2 per million; the next costs 20 times as much
    assert (router.meter.total(), router.meter.count(charges)) == (120_000, 0)
    router.meter.ingest(usage_event(id="after", model="model-0", time=fetched_at + 2))
    assert router.meter.total() == 120_000 + 2_020_000
    assert source_health(router.meter.engine).waiting is None
    assert router.sync().outcome == "unchanged"


def test_only_a_pending_sync_can_be_accepted_and_only_once(router):
    first = router.sync()
    pending = router.sync(document(DEAR))
    accept_sync(router.meter.engine, pending.id, now=router.meter.now)
    with pytest.raises(SyncNotPendingError, match="was already accepted, by sync 3"):
        accept_sync(router.meter.engine, pending.id, now=router.meter.now)
    with pytest.raises(SyncNotPendingError, match="its outcome is recorded"):
        accept_sync(router.meter.engine, first.id, now=router.meter.now)
    with pytest.raises(NotFoundError):
        accept_sync(router.meter.engine, 99, now=router.meter.now)
    assert len(router.versions()) == 2


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (document(), "unchanged"),
        (document(("model-1", "together", 1.1, 2)), "recorded"),
        (document(("model-0", "together", 30, 2)), "held"),
    ],
)
def test_a_newer_list_supersedes_a_pending_one(router, script, outcome):
    router.sync()
    pending = router.sync(document(DEAR, etag='"held"'))
    newer = router.sync(script)
    assert newer.outcome == outcome
    assert "if-none-match" not in router.loopback.requests[-1]
    assert router.outcomes() == ["recorded", "held", outcome, "superseded"]
    with pytest.raises(SyncNotPendingError, match="was already superseded"):
        accept_sync(router.meter.engine, pending.id, now=router.meter.now)
    assert source_health(router.meter.engine).waiting == (newer.id if outcome == "held" else None)


def test_the_same_pending_list_again_keeps_the_first_sync_pending(router):
    router.sync()
    pending = router.sync(document(DEAR))
    assert router.sync().outcome == "unchanged"
    assert router.outcomes() == ["recorded", "held", "unchanged"]
    assert source_health(router.meter.engine).waiting == pending.id


def test_a_pending_list_whose_prices_are_in_force_is_superseded(router):
    """The prices of a pending sync are recorded in another way: fetching the same list again decides it."""
    router.sync()
    pending = router.sync(document(DEAR))
    router.meter.record_prices(replace(read_table(pending.held), effective_from=pending.finished_at + 1))
    assert router.sync().outcome == "unchanged"
    assert source_health(router.meter.engine).waiting is None


def test_a_failed_fetch_supersedes_nothing(router):
    router.sync()
    pending = router.sync(document(DEAR))
    router.sync(answer(status="403 Forbidden"))
    assert source_health(router.meter.engine).waiting == pending.id


def test_a_preview_shows_the_changes_and_writes_nothing(router):
    router.sync(document(etag='"one"'))
    router.respond(document(DEAR))
    found = preview_sync(router.meter.engine, router.source)
    assert [change["model"] for change in found.changes] == ["model-0"]
    assert found.reasons
    assert (router.outcomes(), len(router.versions()), len(router.alerts())) == (["recorded"], 1, 1)
    router.respond(document())
    assert preview_sync(router.meter.engine, router.source) == ([], [])
    assert "if-none-match" not in router.loopback.requests[-1]


def test_concurrent_syncs_record_one_version(router):
    router.respond([0.2, *document()])
    rows = []
    threads = [threading.Thread(target=lambda: rows.append(sync_prices(router.meter.engine, router.source))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(row.outcome for row in rows) == ["recorded", "unchanged", "unchanged", "unchanged"]
    assert (len(router.versions()), len(router.alerts())) == (1, 1)


def test_a_list_overtaken_by_a_newer_one_records_nothing(router):
    """The first fetch lasts from 1 s to 3 s; the second starts and finishes in between, with a later list."""
    router.sync()
    start = router.meter.now
    times = iter([start + 1, start + 2])

    def overtaken(address, etag):
        old = router.fetch(address, etag)
        router.meter.now = start + 3
        router.respond(document(("model-0", "together", 1.2, 2)))
        assert sync_prices(router.meter.engine, router.source).outcome == "recorded"
        return old

    router.respond(document(("model-0", "together", 1.1, 2)))
    slow = router.source._replace(fetch=overtaken, clock=lambda: next(times))
    assert sync_prices(router.meter.engine, slow).outcome == "unchanged"
    assert prices_of(router, router.versions()[-1].id)["model-0"] == 1_200_000
    assert len(router.versions()) == 2


def test_a_recorded_sync_is_never_changed(router):
    """Facts are append-only: later decisions do not change a row."""
    router.sync()
    router.sync(document(DEAR))
    before = router.meter.rows(select(price_syncs).order_by(price_syncs.c.id))
    router.sync(document(("model-0", "together", 30, 2)))
    accept_sync(router.meter.engine, present(source_health(router.meter.engine).waiting), now=router.meter.now)
    assert router.meter.rows(select(price_syncs).order_by(price_syncs.c.id))[:2] == before
