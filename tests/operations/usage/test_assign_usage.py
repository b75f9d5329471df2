"""Usage of accounts that nobody had declared is assigned: taken back on ``unassigned``, charged in the account, counted once.

120,000 nano-USD is what a request of ``usage_event`` costs at everybody's price; acme's own price, where a test records one, is
twice that.
"""

import json

import pytest
from sqlalchemy import select

from metering.domain.errors import DomainError, NotFoundError
from metering.domain.usage.assigning import AssignmentGroup, AssignmentResult, AssignmentScope, MovedUsage
from metering.domain.usage.logged_events import EventQuery
from metering.operations.charges.explain_charge import explain_charge
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


def test_what_is_unassigned_is_shown_by_name_and_source(meter):
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
    # The account that is declared pays nothing for this: its events say no more than before.
    assert [row.details for row in meter.rows(select(events.c.details).where(events.c.account_id == ACME))] == [""]


def test_assigned_usage_is_taken_back_and_written_anew_at_the_account_s_prices(meter):
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
    # The events' rows are what they were.
    assert {(row.account_id, row.charge_nano) for row in meter.rows(select(events))} == {(1, EACH), (1, 0)}
    assert not meter.violations()


def test_doing_it_again_changes_nothing(meter):
    meter.ingest(usage_event(account="stranger"))
    assign(meter)
    assert assign(meter) == AssignmentResult()
    assert meter.count(charges) == 2
    assert meter.count(assigned_events) == 1


def test_only_what_was_asked_for_is_assigned(meter):
    meter.configure(series_cap=2)
    meter.ingest(
        usage_event(id="1", account="stranger", project="p", key="k", time=NOON),
        usage_event(id="2", account="stranger", project="q", key="k", time=NOON + HOUR),
        usage_event(id="3", account="stranger", project="r", key="folded", time=NOON + 2 * HOUR),
        usage_event(id="4", account="stranger", source="edge", time=NOON + 3 * HOUR),
        usage_event(id="5", account="other"),
        usage_event(id="6", account=""),
    )
    for fields, found in (
        ({}, 4),
        ({"name": ""}, 1),
        ({"project": "q"}, 1),
        ({"key": "folded"}, 1),
        ({"source": "edge"}, 1),
        ({"source": "nowhere"}, 0),
        ({"start": NOON + HOUR, "end": NOON + 3 * HOUR}, 2),
        ({"name": "Stranger"}, 0),
    ):
        assert preview(meter, **fields).total.events == found, fields
    assign(meter, key="folded")
    assert listed(meter) == ["3"]
    assert listed(meter, account_id=1) == ["1", "5", "6", "2", "4"]
    assert not meter.violations()


def test_the_account_s_route_and_what_the_record_stated_decide_the_series(meter):
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


def test_what_the_account_s_cap_folds_is_still_shown_and_priced_as_itself(meter):
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
    assert [(entry.sign, entry.amount_nano, entry.reason) for entry in history] == [
        (1, EACH, ""), (-1, -EACH, "assigned"), (1, EACH, "assigned"),
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="assigned to the account"):
        explain_charge(meter.engine, 1, "came")


def test_the_same_record_sent_for_the_account_is_a_duplicate_for_ever(meter):
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
    # In the account it is known by now; nobody else's record is a copy of it.
    meter.declare("umbrella")
    assert meter.ingest(usage_event(account="umbrella", source="far", response_id="response-id-1")).accepted == 1
    assert not meter.violations()


def test_a_copy_from_before_the_assignment_stays_one(meter):
    meter.ingest(usage_event(id="1", account="stranger", response_id="response-id-1"))
    assert meter.ingest(usage_event(id="2", source="edge", account="stranger", response_id="response-id-1")).copy == 1
    assign(meter)
    assert meter.ingest(usage_event(id="2", source="edge", response_id="response-id-1")).copy == 1
    assert spent(meter) == {"acme": (1, EACH)}
    assert not meter.violations()


def test_a_record_that_the_account_has_counted_is_only_taken_back(meter):
    meter.ingest(usage_event(id="x", account="stranger"))
    meter.ingest(usage_event(id="x", account="stranger"), create_accounts=True)
    meter.ingest(usage_event(id="y", account="other"))
    assert spent(meter) == {"stranger": (1, EACH), "unassigned": (2, 2 * EACH)}
    assert assign(meter, account="stranger") == AssignmentResult(repeats=1, repeats_nano=EACH)
    assert spent(meter) == {"stranger": (1, EACH), "unassigned": (1, EACH)}
    assert listed(meter, account_id=3) == ["x"]
    assert listed(meter, account_id=1) == ["y"]
    # Nothing of it holds any more: no later price finds it.
    meter.record_prices(price_table(rate(5_000_000, 0), source="late"))
    meter.rerate()
    meter.rate_unpriced()
    assert spent(meter) == {"stranger": (1, 500_000), "unassigned": (1, 500_000)}
    assert not meter.violations()


def test_another_source_s_record_of_what_the_account_has_counted_is_only_taken_back(meter):
    meter.ingest(usage_event(id="x", source="edge", response_id="response-id-1"))
    meter.ingest(usage_event(id="y", account="stranger", response_id="response-id-1"))
    assert assign(meter) == AssignmentResult(repeats=1, repeats_nano=EACH)
    assert spent(meter) == {"acme": (1, EACH)}
    assert listed(meter) == ["x"]
    assert meter.ingest(usage_event(id="y", response_id="response-id-1")).duplicate == 1
    with pytest.raises(NotFoundError, match="copy of event 'x'"):
        explain_charge(meter.engine, ACME, "y")
    assert not meter.violations()


def test_what_was_taken_back_makes_no_copies(meter):
    meter.ingest(usage_event(id="x", response_id="response-id-1"))
    meter.ingest(usage_event(id="x", account="stranger", response_id="response-id-1"))
    assign(meter)
    late = usage_event(id="y", account="stranger", source="edge", response_id="response-id-1")
    assert meter.ingest(late).accepted == 1
    assert assign(meter).repeats == 1
    assert spent(meter) == {"acme": (1, EACH)}
    assert not meter.violations()


def test_a_record_that_contradicts_what_the_account_has_counted_stays_unassigned(meter):
    meter.ingest(usage_event(id="x", quantities=Quantities(input_tokens=1)))
    meter.ingest(usage_event(id="x", account="stranger"), usage_event(id="y", account="stranger"))
    assert assign(meter) == AssignmentResult(llama(1), conflicts=1)
    assert spent(meter) == {"acme": (2, 1_000 + EACH), "unassigned": (1, EACH)}
    assert [row.events for row in list_unassigned(meter.engine)] == [1]
    assert assign(meter) == AssignmentResult(conflicts=1)
    assert not meter.violations()


def test_usage_of_a_closed_month_is_a_correction_in_the_first_open_one(meter):
    october = instant("2026-10-03T12:00:00Z")
    meter.ingest(usage_event(time=october), usage_event(time=october, account="stranger", project="lost"))
    meter.close(202610)
    digest = meter.statement(202610).digest
    assert assign(meter) == AssignmentResult(llama(1, months=(202610, 202611)))
    assert meter.statement(202610).digest == digest
    # 100 tokens in and 10 out, paid for by October's own credits: $0.10 for a free account.
    corrections = [line.amount_pico for line in meter.statement(202611).lines if line.origin_month == 202610]
    assert corrections == [100_000_000, 20_000_000, -EACH * 1_000]
    meter.now = instant("2026-12-05T00:00:00Z")
    meter.close(202611)
    assert not meter.violations()


def test_an_account_whose_first_usage_was_assigned_has_its_first_ingest_then(meter):
    meter.ingest(usage_event(account="stranger"))
    assign(meter)
    assert meter.rows(select(accounts.c.first_ingest_at).where(accounts.c.id == ACME)) == [(meter.now,)]


def test_what_was_charged_since_it_arrived_is_what_is_taken_back(meter):
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


def test_a_reported_cost_and_what_has_no_price_move_as_they_are(meter):
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
def meanwhile(meter, monkeypatch):
    """A function that has something happen between looking and writing, once."""

    def happen(work):
        prepare = operation.SeriesIndex.prepare

        def overtaken(index, keys):
            monkeypatch.setattr(operation.SeriesIndex, "prepare", prepare)
            prepare(index, keys)
            work()

        monkeypatch.setattr(operation.SeriesIndex, "prepare", overtaken)
        return operation.assign_usage(
            meter.engine, "acme", AssignmentScope("stranger"), meter.settings, clock=lambda: meter.now
        )

    return happen


def test_what_is_charged_meanwhile_is_what_is_taken_back(meter, meanwhile):
    meter.ingest(usage_event(account="stranger"))

    def dearer():
        meter.record_prices(price_table(rate(5_000_000, 0), source="dearer"))
        meter.rerate()

    assert meanwhile(dearer).total == MovedUsage(1, 500_000, EACH, 0)
    assert spent(meter) == {"acme": (1, EACH)}
    assert not meter.violations()


def test_what_is_assigned_meanwhile_is_not_assigned_again(meter, meanwhile):
    meter.declare("umbrella")
    meter.ingest(usage_event(account="stranger"))
    assert meanwhile(lambda: assign(meter, account="umbrella")) == AssignmentResult()
    assert spent(meter) == {"umbrella": (1, EACH)}
    assert not meter.violations()


def test_what_leaves_the_log_meanwhile_stays_where_it_was(meter, meanwhile):
    meter.ingest(usage_event(account="stranger", time=instant("2026-09-04T12:00:00Z")))
    assert (
        meanwhile(lambda: retire_month(meter.engine, 202609, None, with_unresolved=True, now=meter.now)) == AssignmentResult()
    )
    assert spent(meter) == {"unassigned": (1, EACH)}
    assert not meter.violations()


def test_a_month_that_is_closed_meanwhile_is_corrected(meter, meanwhile):
    october = instant("2026-10-03T12:00:00Z")
    meter.ingest(usage_event(time=october), usage_event(account="stranger", time=october))
    (moved,) = meanwhile(lambda: meter.close(202610)).by_group
    assert moved.billed_in == 202611
    assert not meter.violations()


def test_nothing_is_assigned_to_nobody(meter):
    with pytest.raises(NotFoundError):
        preview(meter, account="nobody")
    with pytest.raises(DomainError, match="holds what nobody has declared"):
        preview(meter, account="unassigned")
    with pytest.raises(DomainError, match="end after it starts"):
        preview(meter, start=5, end=5)


def test_a_name_with_control_characters_is_kept_as_it_can_be_said(meter):
    meter.ingest(usage_event(account="be\x07ll\u200b"))
    assert [row.name for row in list_unassigned(meter.engine)] == ["be\N{REPLACEMENT CHARACTER}ll\u200b"]
    assert assign(meter, name="be\N{REPLACEMENT CHARACTER}ll\u200b").total.events == 1


def test_a_name_from_outside_is_kept_as_it_came(meter):
    name = 'it\'s "{}" % \\ ?' + "x" * 200
    meter.ingest(usage_event(account=name, tags={"account": "a tag"}))
    (row,) = list_unassigned(meter.engine)
    assert row.name == name
    (details,) = meter.rows(select(events.c.details))
    assert json.loads(details[0]) == {"account": name, "tags": {"account": "a tag"}}
    assert assign(meter, name=name).total.events == 1
