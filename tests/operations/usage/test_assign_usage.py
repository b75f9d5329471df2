"""Usage of undeclared accounts is assigned: reversed on ``unassigned``, charged in the account, counted once.

A request of ``usage_event`` costs 120,000 nano-USD at the standard price, and twice that at acme's own price, if a test records
one.
"""

import json

import pytest
from sqlalchemy import select

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.usage.assigning import AssignmentGroup, AssignmentResult, AssignmentScope, MovedUsage
from metering.domain.usage.logged_events import EventQuery
from metering.operations.charges.explain_charge import explain_charge
from metering.operations.steps.assign_series import SeriesIndex
from metering.operations.upkeep.retire_month import retire_month
from metering.operations.usage import assign_usage as operation
from metering.operations.usage.assign_usage import list_unassigned
from metering.operations.usage.list_events import list_events
from metering.storage.tables import accounts, assigned_events, charges, events
from pricing.quantities import Quantities
from pricing.tables import Layer
from support.assigning import assign, preview, spent
from support.builders import HOUR, NOON, instant, price_table, rate, usage_event

NOVEMBER = (202611, 202611)
ACME = 2
ALL = (0, 4_102_444_800_000_000)
EACH = 120_000


def llama(events, before=None, after=None, months=NOVEMBER, unpriced=0):
    before = EACH * events if before is None else before
    return {
        AssignmentGroup("together", "llama", *months): MovedUsage(events, before, before if after is None else after, unpriced)
    }


def listed(meter, account_id=ACME, **filters):
    return [event.id for event in list_events(meter.engine, EventQuery(account_id, *ALL, filters), limit=100)]


def test_unassigned_usage_is_listed_by_name_and_source(meter):
    meter.ingest(
        usage_event(account="stranger", time=NOON + HOUR),
        usage_event(account="stranger", time=NOON),
        usage_event(account="stranger", source="edge", model="new"),
        usage_event(account="Ärger"),
        usage_event(account=""),
        usage_event(),
    )
    assert [tuple(row) for row in list_unassigned(meter.engine)] == [
        ("", "gateway", NOON, NOON, 1, EACH, 0),
        ("stranger", "edge", NOON, NOON, 1, 0, 1),
        ("stranger", "gateway", NOON, NOON + HOUR, 2, 2 * EACH, 0),
        ("Ärger", "gateway", NOON, NOON, 1, EACH, 0),
    ]
    assert [row.name for row in list_unassigned(meter.engine, after=("stranger", "edge"), limit=1)] == ["stranger"]
    assert [row.source for row in list_unassigned(meter.engine, limit=2)] == ["gateway", "edge"]
    # Events of a declared account have no extra details.
    assert [row.details for row in meter.rows(select(events.c.details).where(events.c.account_id == ACME))] == [""]


def test_assigned_usage_is_reversed_and_replaced_at_the_accounts_prices(meter):
    meter.record_prices(price_table(rate(2_000_000, 4_000_000), layer=Layer.ACCOUNT, account_id=ACME))
    meter.ingest(usage_event(id="a", account="stranger"), usage_event(id="b", account="stranger", status=500))
    assert assign(meter) == AssignmentResult(llama(2, EACH, 2 * EACH))
    assert spent(meter) == {"acme": (2, 2 * EACH)}
    assert list_unassigned(meter.engine) == []
    entries = select(charges.c.event_id, charges.c.sign, charges.c.amount_nano, charges.c.reason).order_by(charges.c.id)
    assert meter.rows(entries) == [
        (1, -1, -EACH, "assigned"),
        (1, 1, 2 * EACH, "assigned"),
        (2, -1, 0, "assigned"),
        (2, 1, 0, "assigned"),
    ]
    # The events' rows have not changed.
    assert {(row.account_id, row.charge_nano) for row in meter.rows(select(events))} == {(1, EACH), (1, 0)}
    assert not meter.violations()


def test_assigning_again_changes_nothing(meter):
    meter.ingest(usage_event(account="stranger"))
    assign(meter)
    assert assign(meter) == AssignmentResult()
    assert meter.count(charges) == 2
    assert meter.count(assigned_events) == 1


def test_only_usage_in_the_scope_is_assigned(meter):
    meter.configure(series_cap=2)
    meter.ingest(
        usage_event(id="1", account="stranger", project="p", key="k", time=NOON),
        usage_event(id="2", account="stranger", project="q", key="k", time=NOON + HOUR),
        usage_event(id="3", account="stranger", project="r", key="folded", time=NOON + 2 * HOUR),
        usage_event(id="4", account="stranger", source="edge", time=NOON + 3 * HOUR),
        usage_event(id="5", account="other"),
        usage_event(id="6", account=""),
    )
    for fields, expected in (
        ({}, 4),
        ({"name": ""}, 1),
        ({"project": "q"}, 1),
        ({"key": "folded"}, 1),
        ({"source": "edge"}, 1),
        ({"source": "nowhere"}, 0),
        ({"start": NOON + HOUR, "end": NOON + 3 * HOUR}, 2),
        ({"name": "Stranger"}, 0),
    ):
        assert preview(meter, **fields).total.events == expected, fields
    assign(meter, key="folded")
    assert listed(meter) == ["3"]
    assert listed(meter, account_id=1) == ["1", "5", "6", "2", "4"]
    assert not meter.violations()


def test_the_accounts_route_and_the_records_values_determine_the_series(meter):
    meter.configure(series_cap=1, declared_tags=["team"])
    meter.declare("umbrella", default_route="provider_key")
    meter.ingest(
        usage_event(id="1", account="stranger", route="", project="p1", tags={"team": "core"}),
        usage_event(id="2", account="stranger", route="routed", project="p2", key="k2", tags={"team": "web", "user": "u"}),
    )
    meter.configure(declared_tags=["team"])
    assign(meter, account="umbrella")
    found = meter.spend(group_by=("account", "route", "project", "key", "tag:team"))
    assert [(row.group, row.events) for row in found if row.events] == [
        (("umbrella", "provider_key", "p1", "", "core"), 1),
        (("umbrella", "routed", "p2", "k2", "web"), 1),
    ]
    assert not meter.violations()


def test_values_that_the_accounts_cap_folds_are_shown_and_priced_as_stated(meter):
    meter.ingest(*(usage_event(id=f"u{n}", account="stranger", project=f"p{n}", model=m) for n, m in enumerate("abcd")))
    meter.configure(series_cap=1)
    assign(meter)
    shown = list_events(meter.engine, EventQuery(ACME, *ALL), limit=9)
    assert [(event.id, event.project, event.model) for event in shown] == [(f"u{n}", f"p{n}", m) for n, m in enumerate("abcd")]
    meter.record_prices(price_table(*(rate(1_000_000, 0, model=model) for model in "abcd"), source="late"))
    assert meter.rate_unpriced().amount_nano == 400_000
    meter.record_prices(price_table(*(rate(3_000_000, 0, model=model) for model in "abcd"), source="late"))
    assert meter.rerate().done_now.total.after_nano == 1_200_000
    assert not meter.violations()


def test_an_assigned_event_is_listed_and_explained_in_its_account_and_nowhere_else(meter):
    meter.ingest(
        usage_event(id="own-1", time=NOON),
        usage_event(id="came", account="stranger", time=NOON + 1),
        usage_event(id="own-2", time=NOON + 2),
        usage_event(id="stays", account="other", time=NOON + 3),
    )
    assign(meter)
    assert listed(meter) == ["own-1", "came", "own-2"]
    assert listed(meter, provider=("together",)) == ["own-1", "came", "own-2"]
    assert listed(meter, id=("came",)) == ["came"]
    assert listed(meter, account_id=1) == ["stays"]
    assert listed(meter, account_id=1, provider=("together",)) == ["stays"]
    pages, after = [], None
    while page := list_events(meter.engine, EventQuery(ACME, *ALL), after=after, limit=1):
        pages += [event.id for event in page]
        after = page[-1].position
    assert pages == ["own-1", "came", "own-2"]
    history = explain_charge(meter.engine, ACME, "came").history
    assert [(entry.type, entry.amount_nano, entry.reason) for entry in history] == [
        ("charge", EACH, ""), ("reversal", -EACH, "assigned"), ("replacement", EACH, "assigned"),
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="assigned to another account"):
        explain_charge(meter.engine, 1, "came")


def test_the_same_record_sent_for_the_account_is_always_a_duplicate(meter):
    event = usage_event(id="x", account="stranger")
    meter.ingest(event)
    assign(meter)
    assert meter.ingest(usage_event(id="x")).duplicate == 1
    assert meter.ingest(event).duplicate == 1
    assert meter.ingest(usage_event(id="x", quantities=Quantities(input_tokens=1))).conflict == 1
    assert spent(meter) == {"acme": (1, EACH)}
    assert not meter.violations()


def test_another_source_s_record_of_an_assigned_request_is_a_copy(meter):
    meter.ingest(usage_event(account="stranger", response_id="response-id-1"))
    assign(meter)
    copy = usage_event(source="edge", response_id="response-id-1")
    assert meter.ingest(copy).copy == 1
    # It is known in the account only: the record of another account is not a copy of it.
    meter.declare("umbrella")
    assert meter.ingest(usage_event(account="umbrella", source="far", response_id="response-id-1")).accepted == 1
    assert not meter.violations()


def test_a_copy_from_before_the_assignment_stays_a_copy(meter):
    meter.ingest(usage_event(id="1", account="stranger", response_id="response-id-1"))
    assert meter.ingest(usage_event(id="2", source="edge", account="stranger", response_id="response-id-1")).copy == 1
    assign(meter)
    assert meter.ingest(usage_event(id="2", source="edge", response_id="response-id-1")).copy == 1
    assert spent(meter) == {"acme": (1, EACH)}
    assert not meter.violations()


def test_a_record_that_the_account_has_counted_is_only_reversed(meter):
    meter.ingest(usage_event(id="x", account="stranger"))
    meter.ingest(usage_event(id="x", account="stranger"), create_accounts=True)
    meter.ingest(usage_event(id="y", account="other"))
    assert spent(meter) == {"stranger": (1, EACH), "unassigned": (2, 2 * EACH)}
    assert assign(meter, account="stranger") == AssignmentResult(repeats=1, repeats_nano=EACH)
    assert spent(meter) == {"stranger": (1, EACH), "unassigned": (1, EACH)}
    assert listed(meter, account_id=3) == ["x"]
    assert listed(meter, account_id=1) == ["y"]
    # It has no current charge any more, so later prices do not apply to it.
    meter.record_prices(price_table(rate(5_000_000, 0), source="late"))
    meter.rerate()
    meter.rate_unpriced()
    assert spent(meter) == {"stranger": (1, 500_000), "unassigned": (1, 500_000)}
    assert not meter.violations()


def test_another_sources_record_of_a_counted_request_is_only_reversed(meter):
    meter.ingest(usage_event(id="x", source="edge", response_id="response-id-1"))
    meter.ingest(usage_event(id="y", account="stranger", response_id="response-id-1"))
    assert assign(meter) == AssignmentResult(repeats=1, repeats_nano=EACH)
    assert spent(meter) == {"acme": (1, EACH)}
    assert listed(meter) == ["x"]
    assert meter.ingest(usage_event(id="y", response_id="response-id-1")).duplicate == 1
    with pytest.raises(NotFoundError, match="copy of event 'x'"):
        explain_charge(meter.engine, ACME, "y")
    assert not meter.violations()


def test_another_accounts_record_of_the_request_does_not_make_it_a_copy(meter):
    meter.declare("umbrella")
    meter.ingest(usage_event(account="umbrella", source="edge", response_id="response-id-1"))
    meter.ingest(usage_event(account="stranger", response_id="response-id-1"))
    assert assign(meter) == AssignmentResult(llama(1))
    assert spent(meter) == {"acme": (1, EACH), "umbrella": (1, EACH)}


def test_a_reversed_event_does_not_make_copies(meter):
    meter.ingest(usage_event(id="x", response_id="response-id-1"))
    meter.ingest(usage_event(id="x", account="stranger", response_id="response-id-1"))
    assign(meter)
    late = usage_event(id="y", account="stranger", source="edge", response_id="response-id-1")
    assert meter.ingest(late).accepted == 1
    assert assign(meter).repeats == 1
    assert spent(meter) == {"acme": (1, EACH)}
    assert not meter.violations()


def test_a_record_that_conflicts_with_the_accounts_stays_unassigned(meter):
    meter.ingest(usage_event(id="x", quantities=Quantities(input_tokens=1)))
    meter.ingest(usage_event(id="x", account="stranger"), usage_event(id="y", account="stranger"))
    assert assign(meter) == AssignmentResult(llama(1), conflicts=1)
    assert spent(meter) == {"acme": (2, 1_000 + EACH), "unassigned": (1, EACH)}
    assert [row.events for row in list_unassigned(meter.engine)] == [1]
    assert assign(meter) == AssignmentResult(conflicts=1)
    assert not meter.violations()


def test_usage_of_a_closed_month_is_a_correction_in_the_first_open_month(meter):
    october = instant("2026-10-03T12:00:00Z")
    meter.ingest(usage_event(time=october), usage_event(time=october, account="stranger", project="lost"))
    meter.close(202610)
    digest = meter.statement(202610).digest
    assert assign(meter) == AssignmentResult(llama(1, months=(202610, 202611)))
    assert meter.statement(202610).digest == digest
    # 100 tokens in and 10 out, paid by October's included credits: $0.10 for a free account.
    corrections = [line.amount_pico for line in meter.statement(202611).lines if line.origin_month == 202610]
    assert corrections == [100_000_000, 20_000_000, -EACH * 1_000]
    meter.now = instant("2026-12-05T00:00:00Z")
    meter.close(202611)
    assert not meter.violations()


def test_assigning_sets_the_accounts_time_of_first_ingest(meter):
    meter.ingest(usage_event(account="stranger"))
    assign(meter)
    assert meter.rows(select(accounts.c.first_ingest_at).where(accounts.c.id == ACME)) == [(meter.now,)]


def test_the_current_charge_is_reversed_not_the_first(meter):
    meter.ingest(usage_event(account="stranger", model="new"), usage_event(account="stranger"))
    meter.record_prices(price_table(rate(7_000_000, 0, model="new"), rate(9_000_000, 0), source="late"))
    meter.rate_unpriced()
    meter.rerate()
    assert [(row.events, row.amount_nano) for row in list_unassigned(meter.engine)] == [(2, 1_600_000)]
    assign(meter)
    assert spent(meter) == {"acme": (2, 1_600_000)}
    meter.record_prices(price_table(rate(1_000_000, 0, model="new"), rate(2_000_000, 0), source="later still"))
    meter.rerate(account_id=ACME)
    assert spent(meter) == {"acme": (2, 300_000)}
    assert not meter.violations()


def test_reported_costs_and_unpriced_usage_move_unchanged(meter):
    meter.ingest(
        usage_event(account="stranger", model="new", reported_cost_nano=17),
        usage_event(account="stranger", model="other"),
    )
    done = assign(meter)
    assert (done.total.events, done.total.after_nano, done.total.unpriced) == (2, 17, 1)
    assert spent(meter) == {"acme": (2, 17)}
    meter.record_prices(price_table(rate(1_000_000, 0, model="other"), source="late"))
    assert meter.rate_unpriced(account_id=ACME).rated == 1
    assert not meter.violations()


@pytest.fixture
def assign_with(meter, monkeypatch):
    """A function that assigns usage and runs ``work`` between reading and writing, once."""

    def run(work):
        prepare = SeriesIndex.prepare

        def prepare_and_work(index, keys):
            monkeypatch.setattr(SeriesIndex, "prepare", prepare)
            prepare(index, keys)
            work()

        monkeypatch.setattr(SeriesIndex, "prepare", prepare_and_work)
        return operation.assign_usage(
            meter.engine, "acme", AssignmentScope("stranger"), meter.settings, clock=lambda: meter.now
        )

    return run


def test_a_charge_written_during_the_assignment_is_reversed(meter, assign_with):
    meter.ingest(usage_event(account="stranger"))

    def raise_price():
        meter.record_prices(price_table(rate(5_000_000, 0), source="raised"))
        meter.rerate()

    assert assign_with(raise_price).total == MovedUsage(1, 500_000, EACH, 0)
    assert spent(meter) == {"acme": (1, EACH)}
    assert not meter.violations()


def test_an_event_assigned_concurrently_is_not_assigned_again(meter, assign_with):
    meter.declare("umbrella")
    meter.ingest(usage_event(account="stranger"))
    assert assign_with(lambda: assign(meter, account="umbrella")) == AssignmentResult()
    assert spent(meter) == {"umbrella": (1, EACH)}
    assert not meter.violations()


def test_an_event_retired_concurrently_stays_unassigned(meter, assign_with):
    meter.ingest(usage_event(account="stranger", time=instant("2026-09-04T12:00:00Z")))
    assert (
        assign_with(lambda: retire_month(meter.engine, 202609, None, with_unresolved=True, now=meter.now)) == AssignmentResult()
    )
    assert spent(meter) == {"unassigned": (1, EACH)}
    assert not meter.violations()


def test_usage_of_a_month_closed_concurrently_becomes_a_correction(meter, assign_with):
    october = instant("2026-10-03T12:00:00Z")
    meter.ingest(usage_event(time=october), usage_event(account="stranger", time=october))
    (moved,) = assign_with(lambda: meter.close(202610)).by_group
    assert moved.billed_in == 202611
    assert not meter.violations()


def test_usage_cannot_be_assigned_to_unassigned_or_an_unknown_account(meter):
    with pytest.raises(NotFoundError):
        preview(meter, account="nobody")
    with pytest.raises(DomainError, match="already holds this usage"):
        preview(meter, account="unassigned")
    with pytest.raises(DomainError, match="end after it starts"):
        preview(meter, start=5, end=5)


@pytest.mark.parametrize("field", ["name", "source", "project", "key"])
def test_a_scope_with_a_control_character_is_refused(meter, field):
    with pytest.raises(DomainError, match=rf"{field} contains the control character U\+0000"):
        preview(meter, **{"name": "stranger", field: "a\0b"})


def test_a_name_with_control_characters_is_kept_with_replacement_characters(meter):
    meter.ingest(usage_event(account="be\x07ll\u200b"))
    assert [row.name for row in list_unassigned(meter.engine)] == ["be\N{REPLACEMENT CHARACTER}ll\u200b"]
    assert assign(meter, name="be\N{REPLACEMENT CHARACTER}ll\u200b").total.events == 1


def test_any_other_name_is_kept_exactly(meter):
    name = 'it\'s "{}" % \\ ?' + "x" * 200
    meter.ingest(usage_event(account=name, tags={"account": "a tag"}))
    (row,) = list_unassigned(meter.engine)
    assert row.name == name
    (details,) = meter.rows(select(events.c.details))
    assert json.loads(details[0]) == {"account": name, "tags": {"account": "a tag"}}
    assert assign(meter, name=name).total.events == 1
