"""Usage that was ingested wrong is corrected or withdrawn by a run, and a run can be undone."""

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from metering.domain.charges.corrections import CorrectionChanges, CorrectionScope, RunKind
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.usage.events import UNKNOWN, QuantityGrade
from metering.operations.charges import correct_usage
from metering.operations.charges.correct_usage import (
    continue_correction,
    list_corrections,
    preview_correction,
    start_correction,
    start_undo,
)
from metering.storage.tables import account_names, charges, series
from pricing.quantities import Quantities
from support.builders import DAY, NOON, price_table, rate, usage_event
from support.correcting import correct, undo, withdraw

RESPONSE = "ebafdc12cee84cf29c1b"


@pytest.fixture
def acme(meter):
    """The ID of the account that usage of the builders belongs to."""
    return meter.rows(select(account_names.c.account_id).where(account_names.c.name == "acme"))[0][0]


def test_usage_without_a_provider_is_charged_once_the_provider_is_set(meter, acme):
    meter.ingest(*(usage_event(provider=UNKNOWN, route="") for _ in range(3)), usage_event(provider="groq"))
    assert meter.total() == 0
    result = correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="together", route="routed")
    total = result.done_now.total
    assert (total.events, total.before_nano, total.after_nano) == (3, 0, 360_000)
    assert (total.unpriced_before, total.unpriced_after) == (3, 0)
    assert meter.total() == 360_000
    assert meter.count(charges) == 6
    assert not meter.violations()
    again = correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="together", route="routed")
    assert again.run.events_changed == 0


def test_a_preview_writes_nothing(meter, acme):
    meter.ingest(usage_event(provider=UNKNOWN))
    before = meter.count(series)
    preview_correction(meter.engine, CorrectionScope(acme), CorrectionChanges({"provider": "together"}), meter.settings)
    assert (meter.count(charges), meter.count(series)) == (0, before)


def test_a_period_a_source_and_a_condition_choose_together(meter, acme):
    meter.ingest(
        usage_event(provider=UNKNOWN),
        usage_event(provider=UNKNOWN, time=NOON + DAY),
        usage_event(provider=UNKNOWN, source="other"),
    )
    scope = CorrectionScope(acme, start=NOON, end=NOON + DAY, source="gateway", where={"provider": UNKNOWN})
    assert correct(meter, scope, provider="together").run.events_changed == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_a_correction_keeps_failed_requests_free_and_unstated_ones_unpriced(meter, acme):
    meter.ingest(
        usage_event(provider=UNKNOWN, status=500, quantities=Quantities()),
        usage_event(provider=UNKNOWN, quantities=Quantities(), quantity_grade=QuantityGrade.UNSTATED),
        usage_event(provider=UNKNOWN, quantities=Quantities(input_tokens=10, images=1)),
    )
    total = correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="together").done_now.total
    assert (total.events, total.after_nano, total.unpriced_before, total.unpriced_after) == (3, 0, 2, 2)
    assert not meter.violations()


def test_undoing_a_correction_takes_every_sum_back(meter, acme):
    meter.ingest(usage_event(provider=UNKNOWN), usage_event())
    spend, statement = meter.spend(), repr(meter.statement(202611))
    run = correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="together").run
    assert meter.total() == 240_000
    result = undo(meter, run.id)
    assert (result.run.events_changed, result.run.undoes) == (1, run.id)
    assert meter.spend() == spend
    assert repr(meter.statement(202611)) == statement
    assert not meter.violations()
    with pytest.raises(DomainError, match="was undone by run"):
        start_undo(meter.engine, run.id, reason="", now=meter.now)


def test_an_event_that_changed_again_is_not_undone(meter, acme):
    meter.ingest(usage_event(provider=UNKNOWN))
    first = correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="groq").run
    correct(meter, CorrectionScope(acme, where={"provider": "groq"}), provider="together")
    assert undo(meter, first.id).run.events_kept == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_a_closed_month_is_corrected_in_the_open_one(meter, acme):
    meter.set_plan("pro", "2026-10-01")
    meter.ingest(usage_event(provider=UNKNOWN, time=NOON - 14 * DAY))
    closed = meter.close(202610, allow_unpriced=True)
    correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="together")
    assert meter.statement(202610).lines == closed.lines
    late = [line for line in meter.statement(202611).lines if line.origin_month == 202610 and line.quantity]
    assert ("input_tokens", 100_000_000) in [(line.quantity_kind, line.amount_pico) for line in late]
    assert not meter.violations()


def test_what_is_undone_after_its_month_was_closed_is_corrected_in_the_open_one(meter, acme):
    meter.set_plan("pro", "2026-10-01")
    meter.ingest(usage_event(provider=UNKNOWN, time=NOON - 14 * DAY))
    run = correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="together").run
    closed = meter.close(202610)
    undo(meter, run.id)
    assert meter.statement(202610).digest == closed.digest
    late = [line for line in meter.statement(202611).lines if line.origin_month == 202610 and line.quantity]
    assert ("input_tokens", -100_000_000) in [(line.quantity_kind, line.amount_pico) for line in late]
    assert not meter.violations()


def test_withdrawn_usage_no_longer_counts_and_can_be_restored(meter, acme):
    meter.ingest(usage_event(source="wrong"), usage_event())
    spend = meter.spend()
    result = withdraw(meter, CorrectionScope(acme, source="wrong"))
    assert (result.run.kind, result.run.events_changed, result.run.before_nano, result.run.after_nano) == (
        RunKind.WITHDRAW,
        1,
        120_000,
        0,
    )
    assert meter.total() == 120_000
    assert not meter.violations()
    assert undo(meter, result.run.id).run.kind is RunKind.RESTORE
    assert meter.spend() == spend
    assert not meter.violations()
    assert withdraw(meter, CorrectionScope(acme, source="wrong")).run.events_changed == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_withdrawn_usage_that_is_ingested_again_counts_again(meter, acme):
    event = usage_event(source="wrong")
    meter.ingest(event)
    run = withdraw(meter, CorrectionScope(acme, source="wrong")).run
    assert meter.ingest(event).accepted == 1
    assert meter.total() == 120_000
    assert meter.ingest(event).duplicate == 1
    assert not meter.violations()
    assert undo(meter, run.id).run.events_kept == 1  # it counts already
    assert meter.total() == 120_000
    assert not meter.violations()


def test_a_request_that_another_source_recorded_is_not_withdrawn(meter, acme):
    meter.ingest(usage_event(source="wrong", response_id=RESPONSE))
    meter.ingest(usage_event(source="tracer", response_id=RESPONSE))
    result = withdraw(meter, CorrectionScope(acme, source="wrong"))
    assert (result.run.events_changed, result.run.events_kept) == (0, 1)
    assert meter.total() == 120_000


def test_another_source_counts_once_the_first_record_was_withdrawn(meter, acme):
    meter.ingest(usage_event(source="wrong", response_id=RESPONSE))
    withdraw(meter, CorrectionScope(acme, source="wrong"))
    assert meter.ingest(usage_event(source="tracer", response_id=RESPONSE)).accepted == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_an_interrupted_run_is_completed_by_resuming_it(meter, acme, monkeypatch):
    monkeypatch.setattr(correct_usage, "CHUNK", 2)
    meter.ingest(*(usage_event(provider=UNKNOWN, time=NOON + n) for n in range(5)))
    scope, changes = CorrectionScope(acme, where={"provider": UNKNOWN}), CorrectionChanges({"provider": "together"})
    run = start_correction(meter.engine, scope, changes, reason="x", now=meter.now)

    def stop(_run):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        continue_correction(meter.engine, run.id, meter.settings, clock=lambda: meter.now, on_progress=stop)
    finished = continue_correction(meter.engine, run.id, meter.settings, clock=lambda: meter.now).run
    assert (finished.events_changed, finished.finished_at) == (5, meter.now)
    assert meter.total() == 600_000
    assert list_corrections(meter.engine, acme) == [finished]
    undone = undo(meter, run.id)
    assert undone.run.events_changed == 5
    assert meter.total() == 0
    assert not meter.violations()


@pytest.mark.parametrize(
    ("scope", "changes", "message"),
    [
        ({}, None, "name what to withdraw"),
        ({}, {}, "nothing to change"),
        ({"where": {"size": "1"}}, {"provider": "groq"}, "cannot select by 'size'"),
        ({}, {"account": "x"}, "cannot change 'account'"),
        ({}, {"provider": "unknown"}, "provider cannot be changed to 'unknown'"),
        ({}, {"route": "by-foot"}, "'by-foot' is not a route"),
        ({"start": 2, "end": 2}, {"provider": "groq"}, "must end after it starts"),
        ({"where": {"model": "a\nb"}}, {"provider": "groq"}, "control character"),
    ],
)
def test_a_scope_or_change_that_is_not_valid_is_refused(meter, acme, scope, changes, message):
    with pytest.raises(DomainError, match=message):
        preview_correction(
            meter.engine,
            replace(CorrectionScope(acme), **scope),
            None if changes is None else CorrectionChanges(changes),
            meter.settings,
        )


def test_an_unknown_source_or_run_is_not_found(meter, acme):
    with pytest.raises(NotFoundError, match="no usage from a source 'nowhere'"):
        withdraw(meter, CorrectionScope(acme, source="nowhere"))
    with pytest.raises(NotFoundError, match="no correction run 7"):
        start_undo(meter.engine, 7, reason="", now=meter.now)


def test_a_price_that_comes_after_the_correction_charges_the_corrected_usage(meter, acme):
    meter.ingest(usage_event(provider=UNKNOWN, route=""))
    correct(meter, CorrectionScope(acme), provider="groq", route="routed")
    assert meter.total() == 0
    meter.record_prices(price_table(rate(3_000_000, 0, provider="groq"), source="groq"))
    assert meter.rate_unpriced().rated == 1
    assert meter.total() == 300_000  # 100 tokens in at 3,000 nano-USD
    assert not meter.violations()


def test_runs_are_undone_one_after_the_other_back_to_the_start(meter, acme):
    meter.ingest(usage_event(provider=UNKNOWN), usage_event())
    spend, statement = meter.spend(), repr(meter.statement(202611))
    first = correct(meter, CorrectionScope(acme, where={"provider": UNKNOWN}), provider="groq").run
    second = correct(meter, CorrectionScope(acme, where={"provider": "groq"}), provider="together").run
    third = withdraw(meter, CorrectionScope(acme, where={"provider": "together"})).run
    assert meter.total() == 0
    for run in (third, second, first):
        assert undo(meter, run.id).run.events_kept == 0
    assert (meter.spend(), repr(meter.statement(202611))) == (spend, statement)
    assert not meter.violations()


def test_an_undone_run_can_be_done_again_by_undoing_that(meter, acme):
    meter.ingest(usage_event(provider=UNKNOWN))
    again = undo(meter, correct(meter, CorrectionScope(acme), provider="together").run.id)
    assert meter.total() == 0
    assert undo(meter, again.run.id).run.events_changed == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_restoring_withdrawn_usage_is_taken_back_by_withdrawing_it_again(meter, acme):
    meter.ingest(usage_event(source="wrong"))
    restored = undo(meter, withdraw(meter, CorrectionScope(acme, source="wrong")).run.id)
    with pytest.raises(DomainError, match="run 2 restored what run 1 withdrew; withdraw it again instead"):
        undo(meter, restored.run.id)


def test_undoing_after_a_rerating_keeps_the_new_price(meter, acme):
    meter.ingest(usage_event(provider=UNKNOWN))
    run = correct(meter, CorrectionScope(acme), provider="together").run
    meter.record_prices(price_table(rate(5_000_000, 0), source="dearer", effective_from=NOON - DAY))
    meter.rerate()
    assert undo(meter, run.id).run.events_kept == 1
    assert meter.total() == 500_000
    assert not meter.violations()


@pytest.mark.parametrize("placeholder_first", [True, False])
def test_a_completed_request_that_another_source_recorded_is_not_withdrawn(meter, acme, placeholder_first):
    """Which of the two records of the request the other source's record was a copy of does not matter."""
    partial = usage_event(id="a", route="", response_id=RESPONSE)
    final = usage_event(id="a", response_id=RESPONSE)
    copy = usage_event(id="t", source="tracer", response_id=RESPONSE)
    for event in (partial, copy, final) if placeholder_first else (partial, final, copy):
        meter.ingest(event)
    result = withdraw(meter, CorrectionScope(acme, source="gateway"))
    assert (result.run.events_changed, result.run.events_kept) == (0, 1)
    assert meter.total() == 120_000
    assert not meter.violations()


def test_a_request_whose_first_record_was_completed_into_a_copy_of_it_is_not_withdrawn(meter, acme):
    placeholder = usage_event(id="a", response_id=RESPONSE, quantities=Quantities(), quantity_grade=QuantityGrade.UNSTATED)
    meter.ingest(placeholder)
    meter.ingest(usage_event(id="t", source="tracer", response_id=RESPONSE))
    assert meter.ingest(usage_event(id="a", response_id=RESPONSE)).copy == 1
    assert withdraw(meter, CorrectionScope(acme, source="tracer")).run.events_kept == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_another_source_counts_once_a_completed_record_was_withdrawn(meter, acme):
    meter.ingest(usage_event(id="a", route="", response_id=RESPONSE))
    assert meter.ingest(usage_event(id="a", response_id=RESPONSE)).completed == 1
    withdraw(meter, CorrectionScope(acme, source="gateway"))
    assert meter.total() == 0
    assert meter.ingest(usage_event(id="t", source="tracer", response_id=RESPONSE)).accepted == 1
    assert meter.total() == 120_000
    assert not meter.violations()


def test_records_that_became_copies_of_each_other_count_once(meter, acme):
    mine = usage_event(id="a", route="", response_id=RESPONSE)
    theirs = usage_event(id="t", source="tracer", response_id=RESPONSE)
    meter.ingest(theirs)
    withdraw(meter, CorrectionScope(acme, source="tracer"))
    assert meter.ingest(mine).accepted == 1
    assert meter.ingest(theirs).copy == 1
    assert meter.ingest(usage_event(id="a", response_id=RESPONSE)).completed == 1  # not a copy of its copy
    assert meter.ingest(theirs, mine).duplicate == 2
    assert meter.total() == 120_000
    assert not meter.violations()


def test_a_statement_lists_late_usage_of_unknown_route_beside_what_a_correction_took_from_it(meter, acme):
    october = {"provider": "novita", "route": "", "time": NOON - 14 * DAY}
    meter.set_plan("pro", "2026-10-01")
    meter.ingest(usage_event(**october))
    meter.close(202610, allow_unpriced=True)
    run = correct(meter, CorrectionScope(acme), route="routed").run
    meter.ingest(usage_event(**october))
    statement = meter.statement(202611)
    assert [(each.events, each.origin_month) for each in statement.route_unknown] == [(1, 202610)]
    assert [(each.events, each.route) for each in statement.unpriced] == [(1, "routed")]
    undo(meter, run.id)
    statement = meter.statement(202611)
    assert [each.events for each in statement.route_unknown] == [1]  # the late one: October's statement lists the other
    assert statement.unpriced == ()
    assert not meter.violations()


def test_values_that_the_series_cap_folded_are_corrected_too(meter, acme, monkeypatch):
    monkeypatch.setattr(correct_usage, "CHUNK", 1)
    meter.configure(series_cap=1)
    meter.ingest(usage_event(project="a"), usage_event(project="b"))
    meter.ingest(usage_event(project="c", model="new"), usage_event(project="d", model="newer"))
    result = correct(meter, CorrectionScope(acme, where={"project": "b"}), project="z")
    assert result.run.events_changed == 1
    assert correct(meter, CorrectionScope(acme, where={"model": "newer"}), model="llama").done_now.total.after_nano == 120_000
    spend = {row.group[0]: row.amount_nano for row in meter.spend(group_by=("project",))}
    assert (spend["a"], spend["z"]) == (120_000, 120_000)
    assert meter.total() == 360_000
    meter.record_prices(price_table(rate(3_000_000, 0), source="dearer", effective_from=NOON - DAY))
    meter.rerate()
    assert meter.total() == 900_000  # three requests of llama
    assert not meter.violations()
