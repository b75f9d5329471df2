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
from support.builders import DAY, NOON, usage_event

RESPONSE = "ebafdc12cee84cf29c1b"


@pytest.fixture
def acme(meter):
    """The ID of the account that usage of the builders belongs to."""
    return meter.rows(select(account_names.c.account_id).where(account_names.c.name == "acme"))[0][0]


def correct(meter, scope, *, reason="no provider was logged", **values):
    changes = CorrectionChanges(values)
    preview = preview_correction(meter.engine, scope, changes, meter.settings)
    run = start_correction(meter.engine, scope, changes, reason=reason, now=meter.now)
    result = continue_correction(meter.engine, run.id, meter.settings, clock=lambda: meter.now)
    assert result.done_now == preview  # the preview is exact
    return result


def withdraw(meter, scope):
    run = start_correction(meter.engine, scope, None, reason="a test", now=meter.now)
    return continue_correction(meter.engine, run.id, meter.settings, clock=lambda: meter.now)


def undo(meter, run_id):
    run = start_undo(meter.engine, run_id, reason="", now=meter.now)
    return continue_correction(meter.engine, run.id, meter.settings, clock=lambda: meter.now)


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
