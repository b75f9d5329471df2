"""The account that an event is billed to, and the series it is summed in."""

import msgspec
from sqlalchemy import select

from metering.domain.accounts.accounts import UNASSIGNED_ID
from metering.operations.usage.ingest import Origin
from metering.storage.accounts.accounts import account_named, rename_account
from metering.storage.engine.database import exclusive_write
from metering.storage.tables import events, series
from support.builders import NOON, batch_of, price_table, rate, usage_event
from support.presence import present


def test_an_undeclared_account_is_unassigned_and_its_name_is_kept(meter):
    result = meter.ingest(usage_event(account="stranger"), usage_event(account=""))
    assert (result.accepted, result.unassigned) == (2, 2)
    (row,) = meter.spend(group_by=("account",))
    assert (row.group, row.events) == (("unassigned",), 2)
    assert not meter.violations()


def test_an_account_is_created_if_requested(meter):
    result = meter.ingest(usage_event(account="stranger"), usage_event(), create_accounts=True)
    assert result.unassigned == 0
    assert [row.group for row in meter.spend(group_by=("account",))] == [("acme",), ("stranger",)]


def test_a_renamed_account_keeps_its_usage_and_its_old_name_can_be_reused(meter):
    since = NOON
    with exclusive_write(meter.engine) as connection:
        acme = present(account_named(connection, "acme"))
        rename_account(connection, acme.id, "acme-inc", since=since)
    meter.execute("INSERT INTO accounts (default_route, created_at) VALUES ('', 0)")
    meter.execute("INSERT INTO account_names (name, account_id, valid_from) SELECT 'acme', max(id), ? FROM accounts", since)
    meter.ingest(
        usage_event(account="acme", time=since - 1),
        usage_event(account="acme", time=since),
        usage_event(account="acme-inc", time=since),
        usage_event(account="acme-inc", time=since - 1),
    )
    # Old name before and new name after the change: one account. Old name after: the other. New name before: unassigned.
    assert [(row.group[0], row.events) for row in meter.spend(group_by=("account",))] == [
        ("acme", 1),
        ("acme-inc", 2),
        ("unassigned", 1),
    ]
    assert not meter.violations()


def test_a_missing_route_defaults_to_the_accounts_and_hf_inference_is_serverless(meter):
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


def test_past_twice_the_cap_the_model_is_folded_and_priced_as_stated(meter):
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


def test_series_created_by_another_process_count_towards_the_cap(meter):
    meter.configure(series_cap=3)
    first = meter.ingester
    meter.ingest(usage_event(project="p1"))
    meter.configure(series_cap=3)
    meter.ingest(usage_event(project="p2"), usage_event(project="p3"))
    result = first.ingest(batch_of(usage_event(project="p2"), usage_event(project="p4")), Origin("x"))
    assert (result.accepted, result.series_capped) == (2, 1)
    assert [(row.group, row.events) for row in meter.spend(group_by=("project",))] == [
        (("(other)",), 1), (("p1",), 1), (("p2",), 2), (("p3",), 1),
    ]  # fmt: skip
    assert not meter.violations()


def test_the_last_series_before_the_cap_created_by_another_process_is_used(meter):
    meter.configure(series_cap=2)
    first = meter.ingester
    meter.ingest(usage_event(project="p1"))
    first.ingest(batch_of(usage_event(project="p1")), Origin("x"))
    meter.configure(series_cap=2)
    meter.ingest(usage_event(project="p2"))
    assert first.ingest(batch_of(usage_event(project="p2")), Origin("x")).series_capped == 0
    assert sorted(meter.rows(select(series.c.project))) == [("p1",), ("p2",)]


def test_declared_tags_are_dimensions_and_other_tags_stay_on_the_event(meter):
    meter.configure(declared_tags=["team"])
    meter.ingest(usage_event(tags={"team": "core", "user": "u-17"}), usage_event())
    assert [row.group for row in meter.spend(group_by=("tag:team",))] == [("",), ("core",)]
    assert sorted(meter.rows(select(series.c.tags))) == [("",), ('{"team":"core"}',)]
    details = {row.details for row in meter.rows(select(events.c.details))}
    assert details == {"", '{"tags":{"user":"u-17"}}'}


def test_unassigned_is_created_by_the_migration(bare_meter):
    with exclusive_write(bare_meter.engine) as connection:
        assert present(account_named(connection, "unassigned")).id == UNASSIGNED_ID
