"""Re-rating replaces charges whose price was corrected, as its preview shows, and leaves all others alone."""

from typing import Any

import pytest
from sqlalchemy import select

import metering.operations.charges.rerate as operation
from metering.domain.charges.rerating import RerateScope, RerateTotals
from metering.domain.errors import DomainError, NotFoundError
from metering.domain.usage.events import QuantityGrade
from metering.operations.charges.rerate import continue_rerate, start_rerate
from metering.storage.tables import charges, events, rerate_runs, rollups
from pricing.quantities import Quantities
from pricing.rates import Price
from pricing.tables import Layer
from support.builders import DAY, FROM_2020, HOUR, NOON, NOW, instant, price_table, rate, usage_event

ACME = 2
# Twice llama's price: an event of 100 tokens in and 10 out costs 240,000 instead of 120,000 nano-USD.
DOUBLE = price_table(rate(2_000_000, 4_000_000), effective_from=FROM_2020 + 1)


@pytest.fixture
def overpriced(meter):
    """Three events of llama, an hour apart, at 120,000 each; then a contract with twice the price is recorded."""
    meter.ingest(*(usage_event(id=f"e{i}", time=NOON + i * HOUR) for i in range(3)))
    meter.record_prices(DOUBLE)
    return meter


def of_llama(events, before, after, account_id=ACME, month=202611):
    return {(account_id, "together", "llama", month): RerateTotals(events, before, after)}


def test_the_preview_shows_the_changes_and_writes_nothing(overpriced):
    before = overpriced.rows(select(rollups))
    found = overpriced.preview_rerate()
    assert (found.examined, found.kept, found.by_group) == (3, 0, of_llama(3, 360_000, 720_000))
    assert (overpriced.count(charges), overpriced.count(rerate_runs)) == (0, 0)
    assert overpriced.rows(select(rollups)) == before


def test_the_run_makes_the_changes_of_the_preview(overpriced):
    previewed = overpriced.preview_rerate()
    result = overpriced.rerate()
    assert result.done_now == previewed
    run = result.run
    assert (run.events_examined, run.events_changed, run.before_nano, run.after_nano) == (3, 3, 360_000, 720_000)
    assert (run.requested_at, run.finished_at) == (NOW, NOW)
    assert overpriced.total() == 720_000
    assert not overpriced.violations()


def test_each_event_gets_a_reversal_and_a_replacement_that_name_the_run_and_the_reason(overpriced):
    overpriced.now = NOW + HOUR
    run = overpriced.rerate(reason="the contract was late").run
    written = overpriced.rows(select(charges).order_by(charges.c.id))
    assert [(row.event_id, row.sign, row.amount_nano, row.rate_id, row.price_grade) for row in written] == [
        (event_id, *entry) for event_id in (1, 2, 3) for entry in [(-1, -120_000, 1, 0), (1, 240_000, 2, 0)]
    ]
    assert {(row.run_id, row.reason, row.recorded_at, row.billing_month) for row in written} == {
        (run.id, "the contract was late", NOW + HOUR, 202611)
    }


def test_charges_written_by_rating_have_no_run(meter):
    meter.ingest(usage_event(model="mystery"))
    meter.record_prices(price_table(rate(model="mystery"), source="mystery"))
    meter.rate_unpriced()
    assert {row.run_id for row in meter.rows(select(charges))} == {None}


def test_the_row_of_an_event_never_changes(overpriced):
    before = overpriced.rows(select(events))
    overpriced.rerate()
    assert overpriced.rows(select(events)) == before


def test_a_second_run_writes_no_charge(overpriced):
    overpriced.rerate()
    rows = overpriced.rows(select(charges)), overpriced.rows(select(rollups))
    again = overpriced.rerate()
    assert (again.run.events_examined, again.run.events_changed, again.done_now.by_group) == (3, 0, {})
    assert (overpriced.rows(select(charges)), overpriced.rows(select(rollups))) == rows


def test_a_second_correction_starts_from_the_current_charge(overpriced):
    overpriced.rerate()
    overpriced.record_prices(price_table(rate(3_000_000, 0), effective_from=FROM_2020 + 2))
    assert overpriced.rerate().done_now.by_group == of_llama(3, 720_000, 900_000)
    assert [row.sign for row in overpriced.rows(select(charges).order_by(charges.c.event_id, charges.c.id))] == [-1, 1] * 6
    assert overpriced.total() == 900_000
    assert not overpriced.violations()


def test_a_new_rate_with_the_same_price_changes_nothing(meter):
    meter.ingest(usage_event())
    meter.record_prices(price_table(rate(), effective_from=FROM_2020 + 1))
    found = meter.preview_rerate()
    assert (found.examined, found.by_group) == (1, {})


def test_each_event_is_rerated_at_the_price_in_effect_at_its_time(overpriced):
    overpriced.record_prices(price_table(rate(5_000_000, 0), effective_from=NOON + HOUR))
    # 240,000 before the change, 500,000 from it on
    assert overpriced.rerate().run.after_nano == 240_000 + 2 * 500_000


def test_a_long_prompt_is_rerated_at_its_context_tier(overpriced):
    large = rate(9_000_000, 0, context_from=101)
    overpriced.ingest(usage_event(quantities=Quantities(input_tokens=50, cache_read_tokens=51, output_tokens=1)))
    overpriced.record_prices(price_table(rate(2_000_000, 4_000_000), large, effective_from=FROM_2020 + 2))
    # the first three as before; 101 tokens at 9,000 nano-USD and the output for nothing
    assert overpriced.rerate().run.after_nano == 3 * 240_000 + 909_000
    assert not overpriced.violations()


def test_a_period_is_half_open(overpriced):
    assert overpriced.preview_rerate(start=NOON, end=NOON + HOUR).total.events == 1
    assert overpriced.preview_rerate(start=NOON, end=NOON + HOUR + 1).total.events == 2
    assert overpriced.preview_rerate(start=NOON + 1).total.events == 2
    with pytest.raises(DomainError, match="must end after it starts"):
        overpriced.preview_rerate(start=NOON, end=NOON)


def test_changes_are_grouped_by_month(overpriced):
    overpriced.ingest(usage_event(time=instant("2026-10-31T23:59:59Z")))
    overpriced.record_prices(price_table(rate(4_000_000, 0), effective_from=FROM_2020 + 2))
    assert overpriced.rerate().done_now.by_group == {
        # this one was ingested at the doubled price already
        **of_llama(1, 240_000, 400_000, month=202610),
        **of_llama(3, 360_000, 1_200_000),
    }
    assert not overpriced.violations()


def test_only_charges_in_the_scope_are_examined(overpriced):
    umbrella = overpriced.declare("umbrella")
    overpriced.record_prices(price_table(rate(model="gemma"), rate(provider="groq"), source="more"))
    overpriced.ingest(
        usage_event(account="umbrella"), usage_event(model="gemma"), usage_event(provider="groq"), usage_event(model="gemma")
    )
    scopes = [{}, {"account_id": umbrella}, {"account_id": ACME}, {"model": "gemma"}, {"provider": "groq"},
              {"provider": "groq", "model": "gemma"}]  # fmt: skip
    assert [overpriced.preview_rerate(**scope).examined for scope in scopes] == [7, 1, 6, 2, 1, 0]


def test_prices_of_an_account_apply_to_no_other(overpriced):
    umbrella = overpriced.declare("umbrella")
    overpriced.ingest(usage_event(account="umbrella"))
    own = price_table(rate(1, 1), source="deal", layer=Layer.ACCOUNT, account_id=umbrella)
    overpriced.record_prices(own)
    # 110 tokens at a pico-dollar each is less than a nano-dollar, and rounded up to one
    assert overpriced.rerate(account_id=umbrella).done_now.by_group == of_llama(1, 240_000, 1, account_id=umbrella)
    assert overpriced.preview_rerate(account_id=ACME).by_group == of_llama(3, 360_000, 720_000)


def test_failed_and_unpriced_events_are_not_rerated(meter):
    meter.ingest(usage_event(status=500), usage_event(model="mystery"), usage_event(reported_cost_nano=5, model="mystery"))
    meter.record_prices(DOUBLE, price_table(rate(model="mystery"), source="mystery"))
    assert meter.preview_rerate().examined == 0


def test_reported_costs_are_replaced_only_on_request(meter):
    meter.ingest(usage_event(model="mystery", reported_cost_nano=5), usage_event(model="other", reported_cost_nano=7))
    meter.record_prices(price_table(rate(model="mystery"), source="mystery"))
    assert meter.rerate().run.events_examined == 0
    run = meter.rerate(include_reported=True).run
    # the other model has no rate: its reported cost stands
    assert (run.events_examined, run.events_kept, run.events_changed) == (2, 1, 1)
    assert (run.before_nano, run.after_nano, meter.total()) == (5, 120_000, 120_007)
    assert not meter.violations()


def test_a_reported_cost_without_quantities_is_kept(meter):
    unstated = int(QuantityGrade.UNSTATED)
    meter.ingest(usage_event(model="mystery", reported_cost_nano=5, quantities=Quantities(), quantity_grade=unstated))
    meter.record_prices(price_table(rate(model="mystery"), source="mystery"))
    assert (meter.rerate(include_reported=True).run.events_kept, meter.total()) == (1, 5)


def test_late_charges_are_rerated_too(meter):
    meter.ingest(usage_event(model="mystery"))
    meter.record_prices(price_table(rate(model="mystery"), source="mystery"))
    meter.rate_unpriced()
    meter.record_prices(price_table(rate(2_000_000, 0, model="mystery"), source="mystery", effective_from=FROM_2020 + 1))
    run = meter.rerate().run
    assert (run.events_changed, run.before_nano, run.after_nano) == (1, 120_000, 200_000)
    assert not meter.violations()


@pytest.mark.parametrize(
    "table",
    [
        price_table(withdrawn=frozenset({("together", "llama", "")}), effective_from=FROM_2020 + 2),
        price_table(rate(prices={"input_tokens": Price(1)}), effective_from=FROM_2020 + 2),
        price_table(rate(10**15, 0), effective_from=FROM_2020 + 2),
    ],
    ids=["withdrawn", "output without a price", "too large a charge"],
)
def test_a_charge_is_kept_and_counted_if_no_price_applies_anymore(overpriced, table):
    overpriced.record_prices(table)
    overpriced.execute("UPDATE events SET input_tokens = 1000000000, charge_nano = 1000000020000")
    overpriced.execute("UPDATE rollups SET input_tokens = 3000000000, amount_nano = 3000000060000")
    overpriced.execute("DELETE FROM event_identities")
    run = overpriced.rerate().run
    assert (run.events_examined, run.events_kept, run.events_changed) == (3, 3, 0)
    assert overpriced.count(charges) == 0


def test_other_kinds_of_quantity_move_with_the_charge(meter):
    prices = {"input_tokens": Price(1_000_000), "output_tokens": Price(0), "images": Price(7_000_000_000)}
    meter.record_prices(price_table(rate(model="painter", prices=prices), source="p"))
    used = Quantities(input_tokens=3, cache_write_tokens=2, output_tokens=1, reasoning_tokens=1, images=4)
    meter.ingest(usage_event(model="painter", quantities=used), usage_event(model="painter"))
    meter.record_prices(
        price_table(rate(model="painter", prices=prices | {"images": Price(8_000_000_000)}), source="p",
                    effective_from=FROM_2020 + 1)
    )  # fmt: skip
    run = meter.rerate().run
    # 5 tokens (a cache write costs what input does) and four images; then 100 tokens
    assert (run.before_nano, run.after_nano) == (5_000 + 28_000_000 + 100_000, 5_000 + 32_000_000 + 100_000)
    assert not meter.violations()


def test_a_folded_series_is_rerated_by_the_models_on_its_events(meter):
    meter.configure(series_cap=1)
    meter.record_prices(price_table(rate(5_000_000, 0, model="gemma"), source="g"))
    meter.ingest(usage_event(project="p1"))
    meter.ingest(usage_event(project="p2"))
    meter.ingest(usage_event(model="gemma"))
    meter.record_prices(price_table(rate(7_000_000, 0, model="gemma"), source="g", effective_from=FROM_2020 + 1))
    assert meter.preview_rerate(model="gemma").by_group == {
        (ACME, "together", "(other)", 202611): RerateTotals(1, 500_000, 700_000)
    }
    assert meter.preview_rerate(model="llama").examined == 2
    meter.rerate()
    assert not meter.violations()


def test_an_assigned_event_is_rerated_for_its_account(overpriced):
    overpriced.ingest(usage_event(id="lost", account="stranger"))
    ((lost,),) = overpriced.rows(select(events.c.id).where(events.c.external_id == "lost"))
    move = (
        "INSERT INTO charges (event_id, series_id, sign, amount_nano, rate_id, price_grade, billing_month, recorded_at, reason)"
        " SELECT id, {}, {}, {} * charge_nano, rate_id, price_grade, billing_month, 0, 'assigned' FROM events WHERE id = ?"
    )
    overpriced.execute(move.format("series_id", -1, -1), lost)
    overpriced.execute(move.format("1", 1, 1), lost)
    overpriced.record_prices(price_table(rate(3_000_000, 0), effective_from=FROM_2020 + 2))
    assert overpriced.preview_rerate(account_id=1).examined == 0
    assert overpriced.preview_rerate(account_id=ACME).examined == 4
    assert overpriced.preview_rerate().examined == 4


def test_a_run_needs_a_reason(overpriced):
    for reason in ("", "  "):
        with pytest.raises(DomainError, match="needs a reason"):
            overpriced.rerate(reason=reason)
    assert overpriced.count(rerate_runs) == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_events_are_examined_in_chunks_of_any_size(overpriced, monkeypatch, size):
    monkeypatch.setattr(operation, "CHUNK", size)
    overpriced.ingest(usage_event(time=NOON + HOUR), usage_event(account="stranger", time=NOON - DAY))
    overpriced.record_prices(price_table(rate(3_000_000, 0), effective_from=FROM_2020 + 2))
    found = overpriced.preview_rerate()
    assert (found.examined, found.total) == (5, RerateTotals(5, 3 * 120_000 + 2 * 240_000, 1_500_000))
    assert overpriced.rerate().done_now == found
    assert not overpriced.violations()


def interrupted(meter, monkeypatch, after):
    """Start a run in chunks of one event and interrupt it after some chunks; return the run."""
    monkeypatch.setattr(operation, "CHUNK", 1)
    run = start_rerate(meter.engine, RerateScope(None, 0, NOW), reason="r", now=meter.now)
    told = []

    def stop(moved):
        told.append(moved)
        if moved.events_changed == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        continue_rerate(meter.engine, run.id, clock=lambda: meter.now, on_progress=stop)
    return told[-1]


def test_an_interrupted_run_resumes_at_its_cursor(overpriced, monkeypatch):
    run = interrupted(overpriced, monkeypatch, after=2)
    assert (run.events_changed, run.after_nano, run.finished_at, overpriced.count(charges)) == (2, 480_000, None, 4)
    assert not overpriced.violations()
    overpriced.now += HOUR
    result = continue_rerate(overpriced.engine, run.id, clock=lambda: overpriced.now)
    assert result.done_now.by_group == of_llama(1, 120_000, 240_000)
    assert (result.run.events_changed, result.run.after_nano, result.run.finished_at) == (3, 720_000, NOW + HOUR)
    assert (overpriced.total(), overpriced.count(charges)) == (720_000, 6)
    assert not overpriced.violations()


def test_a_run_resumed_by_two_processes_is_done_once(overpriced, monkeypatch):
    run = interrupted(overpriced, monkeypatch, after=1)
    others: list[Any] = []

    def overtaken(_):
        if not others:
            others.append(None)
            others.append(continue_rerate(overpriced.engine, run.id, clock=lambda: NOW))

    mine = continue_rerate(overpriced.engine, run.id, clock=lambda: NOW, on_progress=overtaken)
    assert (mine.done_now.total.events, others[1].done_now.total.events) == (1, 1)
    assert (mine.run.events_examined, mine.run.events_changed, overpriced.count(charges)) == (3, 3, 6)
    assert not overpriced.violations()


def test_starting_again_gives_the_same_result_as_resuming(overpriced, monkeypatch):
    interrupted(overpriced, monkeypatch, after=2)
    assert overpriced.rerate().run.events_changed == 1
    assert (overpriced.total(), overpriced.count(charges)) == (720_000, 6)
    assert not overpriced.violations()


def test_resuming_a_finished_run_does_nothing(overpriced):
    run = overpriced.rerate().run
    again = continue_rerate(overpriced.engine, run.id, clock=lambda: NOW + DAY)
    assert (again.run, again.done_now.examined) == (run, 0)
    with pytest.raises(NotFoundError, match="no re-rating run 99"):
        continue_rerate(overpriced.engine, 99, clock=lambda: NOW)


def test_a_resumed_run_uses_the_prices_it_started_with(overpriced, monkeypatch):
    run = interrupted(overpriced, monkeypatch, after=1)
    overpriced.record_prices(price_table(rate(9_000_000, 0), effective_from=FROM_2020 + 2))
    overpriced.ingest(usage_event(time=NOON + 5 * HOUR))
    result = continue_rerate(overpriced.engine, run.id, clock=lambda: NOW)
    # the event ingested since is priced by a table that the run does not have, and is kept
    assert (result.run.events_examined, result.run.events_changed, result.run.after_nano) == (4, 3, 720_000)
    assert overpriced.total() == 720_000 + 900_000


def test_a_failed_chunk_is_rolled_back(overpriced, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(operation, "update_run", fail)
    with pytest.raises(OSError, match="disk is full"):
        overpriced.rerate()
    assert overpriced.count(charges) == 0
    assert not overpriced.violations()


def test_a_run_whose_totals_differ_from_its_charges_is_a_violation(overpriced):
    overpriced.rerate()
    for change in ("before_nano = before_nano + 1", "after_nano = 0", "events_changed = 2"):
        overpriced.execute(f"UPDATE rerate_runs SET {change}")
        assert {violation.code for violation in overpriced.violations()} == {"run_differs"}


def test_spend_moves_with_the_charge_in_every_view(overpriced):
    overpriced.rerate()
    assert [(row.group, row.events, row.amount_nano) for row in overpriced.spend(group_by=("price_grade",))] == [
        (("rated",), 3, 720_000)
    ]
    inside = overpriced.spend(NOON + 1, NOON + 2 * HOUR + 1)
    assert [(row.events, row.amount_nano) for row in inside] == [(2, 480_000)]
