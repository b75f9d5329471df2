"""An event counts once, one bad event never costs its batch, and a batch is stored completely or not at all."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from sqlalchemy import select

from metering.domain.usage.events import PriceGrade
from metering.domain.usage.outcomes import Outcome
from metering.operations.usage.ingest import Ingester, Origin
from metering.storage.tables import (
    event_claims,
    event_conflicts,
    event_copies,
    event_identities,
    events,
    quarantine,
    receipts,
    rollups,
)
from pricing.quantities import Quantities
from support.builders import HOUR, NOON, NOW, SECOND, batch_of, rejected_record, usage_event

RESPONSE = "ebafdc12cee84cf29c1b"


def outcomes(result):
    return [(item.line, item.outcome) for item in result.items]


def test_an_accepted_event_is_stored_with_its_charge(meter):
    result = meter.ingest(usage_event(id="a"))
    assert (result.accepted, result.items) == (1, [])
    (row,) = meter.rows(select(events))
    # 100 x 1,000 + 10 x 2,000 nano-USD
    assert (row.external_id, row.charge_nano, row.price_grade) == ("a", 120_000, PriceGrade.RATED)
    assert (row.event_time, row.billing_month) == (NOON, 202611)
    assert meter.rows(select(receipts)) == [(row.id, NOW)]
    assert meter.total() == 120_000
    assert not meter.violations()


def test_the_same_event_twice_in_a_batch_counts_once(meter):
    event = usage_event()
    result = meter.ingest(usage_event(), event, event)
    assert (result.accepted, result.duplicate) == (2, 1)
    assert outcomes(result) == [(3, Outcome.DUPLICATE)]
    assert meter.total() == 240_000
    assert not meter.violations()


def test_the_same_event_in_a_later_batch_counts_once_also_in_another_process(meter):
    event = usage_event()
    meter.ingest(event)
    meter.configure()
    result = meter.ingest(usage_event(), event)
    assert (result.accepted, result.duplicate) == (1, 1)
    assert outcomes(result) == [(2, Outcome.DUPLICATE)]
    assert meter.total() == 240_000


def test_a_large_batch_with_known_and_repeated_records_counts_each_once(meter):
    ids = [f"response-{number:08d}" for number in range(600)]
    sent = [usage_event(id=f"r{number}", response_id=each) for number, each in enumerate(ids)]
    meter.ingest(sent[77])
    copies = [usage_event(source="tracer", id="t", response_id=ids[77]), usage_event(source="tracer", response_id=ids[400])]
    result = meter.ingest(*sent, sent[5], *copies)
    assert (result.accepted, result.duplicate, result.copy) == (599, 2, 2)
    assert outcomes(result) == [
        (78, Outcome.DUPLICATE), (601, Outcome.DUPLICATE), (602, Outcome.COPY), (603, Outcome.COPY),
    ]  # fmt: skip
    assert (meter.count(events), meter.count(event_claims)) == (600, 600)
    assert meter.total() == 600 * 120_000
    assert not meter.violations()


def test_labels_do_not_matter_for_a_duplicate(meter):
    event = usage_event(project="search", latency_ms=5)
    meter.ingest(event)
    relabelled = msgspec.structs.replace(event, project="chat", latency_ms=7, tags={"team": "core"})
    assert meter.ingest(relabelled).duplicate == 1


@pytest.mark.parametrize(
    "change",
    [
        {"time": NOON + 1},
        {"provider": "groq"},
        {"model": "llama-2"},
        {"operation": "completion"},
        {"route": "provider_key"},
        {"status": 500},
        {"quantities": Quantities(input_tokens=100, output_tokens=11)},
    ],
)
def test_the_same_id_with_different_content_is_a_conflict_and_the_first_is_kept(meter, change):
    event = usage_event()
    meter.ingest(event)
    result = meter.ingest(msgspec.structs.replace(event, **change))
    assert outcomes(result) == [(1, Outcome.CONFLICT)]
    assert meter.total() == 120_000
    assert not meter.violations()


def test_a_conflict_is_recorded_once_however_often_it_is_sent(meter):
    event = usage_event()
    other = msgspec.structs.replace(event, status=500)
    meter.ingest(event, other)
    assert meter.ingest(other, other).conflict == 2
    third = msgspec.structs.replace(event, status=404)
    assert meter.ingest(third).conflict == 1
    recorded = meter.rows(select(event_conflicts))
    assert len(recorded) == 2
    counted = meter.rows(select(events))[0]
    assert {row.event_id for row in recorded} == {counted.id}
    assert not meter.violations()


def test_the_same_id_in_another_source_or_account_is_a_different_event(meter):
    meter.declare("umbrella")
    result = meter.ingest(usage_event(id="1"), usage_event(id="1", source="other"), usage_event(id="1", account="umbrella"))
    assert result.accepted == 3
    assert not meter.violations()


def test_source_and_id_pairs_that_concatenate_alike_are_two_events(meter):
    assert meter.ingest(usage_event(source="ab", id="c"), usage_event(source="a", id="bc")).accepted == 2


def test_another_sources_record_with_the_response_id_is_a_copy(meter):
    meter.ingest(usage_event(response_id=RESPONSE))
    result = meter.ingest(usage_event(response_id=RESPONSE, source="tracer", time=NOON + HOUR))
    assert outcomes(result) == [(1, Outcome.COPY)]
    assert meter.total() == 120_000
    assert meter.count(event_copies) == 1
    assert not meter.violations()


def test_copies_are_found_within_a_batch_and_by_the_inference_id(meter):
    result = meter.ingest(
        usage_event(inference_id="0-019ff4230000"), usage_event(inference_id="0-019ff4230000", source="tracer")
    )
    assert outcomes(result) == [(2, Outcome.COPY)]


def test_a_copy_that_is_sent_again_is_a_duplicate(meter):
    copy = usage_event(response_id=RESPONSE, source="tracer")
    meter.ingest(usage_event(response_id=RESPONSE), copy)
    assert outcomes(meter.ingest(copy)) == [(1, Outcome.DUPLICATE)]
    assert meter.count(event_identities) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"source": "tracer", "time": NOON + HOUR + 1}, id="more than an hour later"),
        pytest.param({"source": "tracer", "time": NOON - HOUR - 1}, id="more than an hour before"),
        pytest.param({"source": "gateway"}, id="the same source"),
        pytest.param({"source": "tracer", "account": "umbrella"}, id="another account"),
        pytest.param({"source": "tracer", "provider": "groq"}, id="another provider"),
        pytest.param({"source": "tracer", "quantities": Quantities(input_tokens=100, output_tokens=9)}, id="other output"),
    ],
)
def test_a_shared_response_id_alone_is_not_a_copy(meter, other):
    meter.declare("umbrella")
    meter.ingest(usage_event(response_id=RESPONSE))
    assert meter.ingest(usage_event(response_id=RESPONSE, **other)).accepted == 1
    assert not meter.violations()


@pytest.mark.parametrize("apart", [-HOUR, -HOUR + 1, -1, 0, 1, HOUR - 1, HOUR])
@pytest.mark.parametrize("original", [NOON, NOON + HOUR // 2, NOON + HOUR - 1])
def test_a_copy_is_found_up_to_an_hour_away_across_clock_hours(meter, original, apart):
    meter.ingest(usage_event(response_id=RESPONSE, time=original))
    (repeated,) = outcomes(meter.ingest(usage_event(response_id=RESPONSE, source="tracer", time=original + apart)))
    assert repeated == (1, Outcome.COPY)


def test_a_short_response_id_claims_nothing(meter):
    meter.ingest(usage_event(response_id="req-42"))
    assert meter.ingest(usage_event(response_id="req-42", source="tracer")).accepted == 1


def test_a_rejected_record_is_quarantined_and_costs_the_batch_nothing(meter):
    result = meter.ingest(usage_event(), rejected=[rejected_record()])
    assert (result.accepted, result.rejected, result.received) == (1, 1, 2)
    meter.ingest(rejected=[rejected_record(reason="still no model")])
    (bad,) = meter.rows(select(quarantine))
    assert (bad.reason, bad.kept, bad.resolved_at) == ("still no model", '{"id":"x"}', None)


def test_an_empty_batch_changes_nothing(meter):
    assert meter.ingest().received == 0
    assert meter.count(rollups) == 0


def test_a_batch_that_fails_halfway_stores_nothing(meter, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("metering.operations.usage.store_events.add_to_sums", fail)
    with pytest.raises(OSError, match="disk is full"):
        meter.ingest(usage_event())
    monkeypatch.undo()
    assert (meter.count(events), meter.count(event_identities), meter.count(rollups)) == (0, 0, 0)
    assert not meter.violations()


def test_two_concurrent_ingesters_count_once(meter):
    traffic = [usage_event(time=NOON + i * SECOND, project=f"p{i % 7}") for i in range(200)]
    writers = [Ingester(meter.engine, meter.settings, lambda: NOW) for _ in range(4)]

    def write(writer):
        return sum(writer.ingest(batch_of(*traffic[at : at + 50]), Origin("x")).accepted for at in range(0, 200, 50))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, writers)) == 200
    assert meter.total() == 200 * 120_000
    assert not meter.violations()
