"""What becomes of each event that is ingested, and what it costs."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from builders import DAY, HOUR, NOON, NOW, SECOND, batch_of, price_table, rate, rejected_record, usage_event
from sqlalchemy import select

from metering.domain.events import PriceGrade, QuantityGrade
from metering.domain.outcomes import Outcome
from metering.operations.ingest import Ingester, Origin
from metering.storage.accounts import UNASSIGNED_ID, account_named, rename_account
from metering.storage.database import writing
from metering.storage.tables import event_conflicts, event_copies, event_identities, events, quarantine, rollups, series
from pricing.quantities import Quantities

RESPONSE = "ebafdc12cee84cf29c1b"


def outcomes(result):
    return [(item.line, item.outcome) for item in result.items]


def test_an_accepted_event_is_stored_with_its_charge(meter):
    result = meter.ingest(usage_event(id="a"))
    assert (result.accepted, result.items) == (1, [])
    (row,) = meter.rows(select(events))
    # 100 x 1,000 + 10 x 2,000 nano-USD
    assert (row.external_id, row.charge_nano, row.price_grade, row.billable) == ("a", 120_000, PriceGrade.RATED, 1)
    assert (row.event_time, row.billing_month, row.received_at) == (NOON, 202611, NOW)
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


def test_a_duplicate_needs_only_the_same_content_not_the_same_label(meter):
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
def test_the_same_id_with_other_content_is_a_conflict_and_the_first_stands(meter, change):
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


def test_the_same_id_in_another_source_or_account_is_another_event(meter):
    meter.declare("umbrella")
    result = meter.ingest(usage_event(id="1"), usage_event(id="1", source="other"), usage_event(id="1", account="umbrella"))
    assert result.accepted == 3
    assert not meter.violations()


def test_two_pairs_of_source_and_id_that_join_alike_are_two_events(meter):
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
def test_a_shared_response_id_alone_does_not_make_a_copy(meter, other):
    meter.declare("umbrella")
    meter.ingest(usage_event(response_id=RESPONSE))
    assert meter.ingest(usage_event(response_id=RESPONSE, **other)).accepted == 1
    assert not meter.violations()


def test_a_short_response_id_claims_nothing(meter):
    meter.ingest(usage_event(response_id="req-42"))
    assert meter.ingest(usage_event(response_id="req-42", source="tracer")).accepted == 1


def test_a_charge_too_large_to_be_one_is_refused_alone(meter):
    # 10^9 tokens at 10^13 pico-USD are 10^19 nano-USD.
    meter.record_prices(price_table(rate(10**13, model="gold"), source="gold"))
    huge = usage_event(id="huge", model="gold", quantities=Quantities(input_tokens=10**9, output_tokens=1))
    result = meter.ingest(usage_event(), huge, usage_event())
    assert (result.accepted, result.rejected) == (2, 1)
    assert [(item.line, item.code, item.id) for item in result.items] == [(2, "charge_too_large", "huge")]
    (bad,) = meter.rows(select(quarantine))
    assert (bad.code, bad.line, bad.offset) == ("charge_too_large", 2, 100)
    assert meter.total() == 240_000
    assert not meter.violations()


def test_a_record_that_can_not_be_read_is_noted_and_costs_the_batch_nothing(meter):
    result = meter.ingest(usage_event(), rejected=[rejected_record()])
    assert (result.accepted, result.rejected, result.received) == (1, 1, 2)
    meter.ingest(rejected=[rejected_record(reason="still no model")])
    (bad,) = meter.rows(select(quarantine))
    assert (bad.reason, bad.kept, bad.resolved_at) == ("still no model", '{"id":"x"}', None)


def test_an_account_nobody_declared_is_unassigned_and_stays_shown(meter):
    result = meter.ingest(usage_event(account="stranger"), usage_event(account=""))
    assert (result.accepted, result.unassigned) == (2, 2)
    (row,) = meter.spend(group_by=("account",))
    assert (row.group, row.events) == (("unassigned",), 2)
    assert not meter.violations()


def test_an_account_is_created_where_the_caller_says_so(meter):
    result = meter.ingest(usage_event(account="stranger"), usage_event(), create_accounts=True)
    assert result.unassigned == 0
    assert [row.group for row in meter.spend(group_by=("account",))] == [("acme",), ("stranger",)]


def test_a_renamed_account_keeps_its_usage_and_its_name_may_go_to_another(meter):
    since = NOON
    with writing(meter.engine) as connection:
        acme = account_named(connection, "acme")
        rename_account(connection, acme.id, "acme-inc", since=since)
    with writing(meter.engine) as connection:
        connection.exec_driver_sql("INSERT INTO accounts (default_route, created_at) VALUES ('', 0)")
        connection.exec_driver_sql(
            "INSERT INTO account_names (name, account_id, valid_from) SELECT 'acme', max(id), ? FROM accounts", (since,)
        )
    meter.ingest(
        usage_event(account="acme", time=since - 1),
        usage_event(account="acme", time=since),
        usage_event(account="acme-inc", time=since),
        usage_event(account="acme-inc", time=since - 1),
    )
    # The old name before, the new name after: one account. The old name after: the other. The new name before: nobody.
    assert [(row.group[0], row.events) for row in meter.spend(group_by=("account",))] == [
        ("acme", 1),
        ("acme-inc", 2),
        ("unassigned", 1),
    ]
    assert not meter.violations()


def test_an_event_without_a_price_is_kept_and_counted_as_unpriced(meter):
    result = meter.ingest(usage_event(model="mystery"), usage_event())
    assert (result.accepted, result.unpriced) == (2, 1)
    (row,) = meter.spend()
    assert (row.events, row.unpriced_events, row.unpriced_tokens, row.amount_nano) == (2, 1, 110, 120_000)
    (stored,) = meter.rows(select(events.c.charge_nano, events.c.price_grade).where(events.c.charge_nano.is_(None)))
    assert stored.price_grade == PriceGrade.UNPRICED


def test_a_quantity_without_a_price_leaves_the_whole_event_unpriced(meter):
    assert meter.ingest(usage_event(quantities=Quantities(input_tokens=1, images=1))).unpriced == 1
    assert meter.total() == 0


def test_an_interrupted_stream_without_usage_is_unpriced_not_free(meter):
    unstated = usage_event(quantities=Quantities(), quantity_grade=int(QuantityGrade.UNSTATED))
    assert meter.ingest(unstated).unpriced == 1


def test_a_cost_that_the_provider_reported_is_the_charge_only_where_there_is_no_rate(meter):
    meter.ingest(usage_event(reported_cost_nano=7), usage_event(model="mystery", reported_cost_nano=7))
    assert [(row.group, row.amount_nano) for row in meter.spend(group_by=("model", "price_grade"))] == [
        (("llama", "rated"), 120_000),
        (("mystery", "reported"), 7),
    ]
    assert not meter.violations()


def test_a_gateways_cost_is_a_memo(meter):
    assert meter.ingest(usage_event(model="mystery", gateway_cost_nano=7)).unpriced == 1
    assert not meter.total()


@pytest.mark.parametrize("status", [400, 404, 429, 499, 500, 503, 100, 199])
def test_a_failure_is_counted_and_costs_nothing(meter, status):
    meter.ingest(usage_event(status=status, reported_cost_nano=9))
    (row,) = meter.spend(group_by=("price_grade", "billable"))
    assert (row.group, row.events, row.failed_events, row.amount_nano) == (("exempt", "false"), 1, 1, 0)
    assert not meter.violations()


def test_without_a_status_output_says_that_there_was_an_answer(meter):
    answered = usage_event(status=None)
    silent = usage_event(status=None, quantities=Quantities(input_tokens=100))
    embedded = usage_event(status=None, operation="embeddings", quantities=Quantities(input_tokens=100))
    meter.ingest(answered, silent, embedded)
    (row,) = meter.spend()
    assert (row.events, row.failed_events, row.amount_nano) == (3, 1, 220_000)
    assert not meter.violations()


def test_usage_on_the_partners_own_key_is_priced_and_not_billable(meter):
    meter.ingest(usage_event(route="provider_key"), usage_event(route=""), usage_event())
    assert [(row.group, row.amount_nano) for row in meter.spend(group_by=("route", "billable"))] == [
        (("provider_key", "false"), 120_000),
        (("routed", "true"), 120_000),
        (("unknown", "false"), 120_000),
    ]


def test_a_route_that_is_not_stated_is_the_accounts_and_hf_inference_is_serverless(meter):
    meter.declare("umbrella", default_route="routed")
    result = meter.ingest(
        usage_event(account="umbrella", route=""),
        usage_event(account="umbrella", route="", provider="hf-inference"),
        usage_event(route=""),
    )
    assert result.route_unknown == 1
    assert [row.group for row in meter.spend(group_by=("account", "route"))] == [
        ("acme", "unknown"),
        ("umbrella", "routed"),
        ("umbrella", "serverless"),
    ]
    assert not meter.violations()


def test_an_event_is_priced_at_what_was_valid_when_it_started(meter):
    midnight = NOON + DAY // 2
    meter.record_prices(price_table(rate(3_000_000, 0), effective_from=midnight))
    meter.ingest(usage_event(time=midnight - 1), usage_event(time=midnight))
    # 120,000 the day before, 100 x 3,000 from midnight on.
    assert sorted(meter.rows(select(events.c.charge_nano))) == [(120_000,), (300_000,)]


def test_a_price_that_is_recorded_between_two_batches_is_used_by_the_second(bare_meter):
    bare_meter.declare("acme")
    assert bare_meter.ingest(usage_event()).unpriced == 1
    bare_meter.record_prices()
    assert bare_meter.ingest(usage_event()).unpriced == 0


def test_a_charge_is_rounded_up_once_a_request(meter):
    # 1 token at $0.0375 per million is 37.5 nano-USD.
    meter.record_prices(price_table(rate(37_500, 37_500, model="small"), source="small"))
    one = Quantities(input_tokens=1)
    meter.ingest(*(usage_event(model="small", quantities=one) for _ in range(3)))
    meter.ingest(usage_event(model="small", quantities=Quantities(input_tokens=1, output_tokens=1)))
    assert meter.total() == 3 * 38 + 75


def test_an_assumed_cache_price_is_marked(meter):
    meter.ingest(usage_event(quantities=Quantities(cache_read_tokens=5, output_tokens=1)), usage_event())
    assert sorted(meter.rows(select(events.c.cache_price_unknown, events.c.charge_nano))) == [(0, 120_000), (1, 7_000)]
    assert not meter.violations()


def test_past_the_cap_new_series_are_folded_and_their_values_stay_on_the_event(meter):
    meter.configure(series_cap=2, declared_tags=["team"])
    result = meter.ingest(
        usage_event(project="p1"),
        usage_event(project="p2"),
        usage_event(project="p3", key="k3", tags={"team": "core", "user": "u1"}),
        usage_event(project="p4"),
    )
    assert (result.accepted, result.series_capped) == (4, 2)
    assert [(row.group, row.events) for row in meter.spend(group_by=("project", "key", "tag:team"))] == [
        (("(other)", "(other)", "(other)"), 2),
        (("p1", "", ""), 1),
        (("p2", "", ""), 1),
    ]
    details = msgspec.json.decode(meter.rows(select(events.c.details).where(events.c.details.contains("k3")))[0][0])
    assert details == {"project": "p3", "key": "k3", "tags": {"team": "core", "user": "u1"}}
    assert not meter.violations()


def test_past_twice_the_cap_the_model_is_folded_too_and_still_priced_as_itself(meter):
    meter.configure(series_cap=1)
    meter.ingest(usage_event(project="p1"))
    meter.ingest(usage_event(project="p2"))
    meter.record_prices(price_table(rate(1_000, 1_000, model="small"), source="small"))
    meter.ingest(usage_event(model="small"))
    assert [(row.group, row.amount_nano) for row in meter.spend(group_by=("model", "project"))] == [
        (("(other)", "(other)"), 110),
        (("llama", "(other)"), 120_000),
        (("llama", "p1"), 120_000),
    ]
    (folded,) = meter.rows(select(events).where(events.c.charge_nano == 110))
    assert msgspec.json.decode(folded.details)["model"] == "small"
    assert not meter.violations()


def test_a_restart_past_the_cap_finds_the_folded_series_again(meter):
    meter.configure(series_cap=1)
    meter.ingest(usage_event(project="p1"), usage_event(project="p2"))
    meter.configure(series_cap=1)
    meter.ingest(usage_event(project="p3"), usage_event(project="p1"))
    assert [(row.group, row.events) for row in meter.spend(group_by=("project",))] == [(("(other)",), 2), (("p1",), 2)]
    assert not meter.violations()


def test_declared_tags_are_dimensions_and_the_others_stay_on_the_event(meter):
    meter.configure(declared_tags=["team"])
    meter.ingest(usage_event(tags={"team": "core", "user": "u-17"}), usage_event())
    assert [row.group for row in meter.spend(group_by=("tag:team",))] == [("",), ("core",)]
    assert sorted(meter.rows(select(series.c.tags))) == [("",), ('{"team":"core"}',)]
    details = {row.details for row in meter.rows(select(events.c.details))}
    assert details == {"", '{"tags":{"user":"u-17"}}'}


def test_an_empty_batch_changes_nothing(meter):
    assert meter.ingest().received == 0
    assert meter.count(rollups) == 0


def test_nothing_of_a_batch_is_stored_when_it_fails_half_way(meter, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("metering.operations.steps.store_events.add_to_rollups", fail)
    with pytest.raises(OSError, match="disk is full"):
        meter.ingest(usage_event())
    monkeypatch.undo()
    assert (meter.count(events), meter.count(event_identities), meter.count(rollups)) == (0, 0, 0)
    assert not meter.violations()


def test_events_of_the_same_second_of_two_days_fall_into_their_own_day_and_month(meter):
    end = NOON - 3 * DAY + DAY // 2  # 2026-11-01T00:00:00Z
    meter.ingest(usage_event(time=end - 1), usage_event(time=end), usage_event(time=end + DAY - 1))
    months = select(rollups.c.billing_month, rollups.c.events).order_by(rollups.c.billing_month)
    assert meter.rows(months) == [(202610, 1), (202611, 2)]


def test_two_ingesters_at_once_count_once(meter):
    traffic = [usage_event(time=NOON + i * SECOND, project=f"p{i % 7}") for i in range(200)]
    writers = [Ingester(meter.engine, meter.settings, lambda: NOW) for _ in range(4)]

    def write(writer):
        return sum(writer.ingest(batch_of(*traffic[at : at + 50]), Origin("x")).accepted for at in range(0, 200, 50))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, writers)) == 200
    assert meter.total() == 200 * 120_000
    assert not meter.violations()


def test_unassigned_is_the_account_that_the_migration_made(bare_meter):
    with writing(bare_meter.engine) as connection:
        assert account_named(connection, "unassigned").id == UNASSIGNED_ID
