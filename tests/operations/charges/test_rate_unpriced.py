"""Unpriced usage is charged once when its price is known, and nothing else changes."""

import pytest
from sqlalchemy import select

import metering.operations.charges.rate_unpriced as operation
from metering.domain.charges.spend import Granularity, PeriodBasis
from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.operations.charges.list_unpriced import list_unpriced
from metering.storage.charges.charges import unpriced_event_ids
from metering.storage.tables import charges, events, rollups
from pricing.quantities import Quantities
from pricing.rates import Price
from support.builders import DAY, HOUR, NOON, instant, price_table, rate, usage_event

NOVEMBER = instant("2026-11-01T00:00:00Z"), instant("2026-12-01T00:00:00Z")
MYSTERY = price_table(rate(1_000_000, 0, model="mystery"), source="mystery")


@pytest.fixture
def waiting(meter):
    """Three unpriced events of ``mystery`` (100 tokens in each), and a rated one of ``llama``."""
    meter.ingest(*(usage_event(model="mystery", time=NOON + i * HOUR) for i in range(3)), usage_event())
    return meter


def test_events_with_a_price_are_charged(waiting):
    waiting.record_prices(MYSTERY)
    result = waiting.rate_unpriced()
    assert (result.rated, result.still_unpriced, result.amount_nano) == (3, 0, 300_000)
    assert {key: (group.events, group.amount_nano) for key, group in result.by_model.items()} == {
        ("together", "mystery"): (3, 300_000)
    }
    assert waiting.total() == 420_000
    assert not waiting.violations()


def test_the_row_of_an_event_never_changes(waiting):
    before = waiting.rows(select(events))
    waiting.record_prices(MYSTERY)
    waiting.rate_unpriced()
    assert waiting.rows(select(events)) == before


def test_each_event_gets_a_reversal_and_a_replacement_with_the_reason(waiting):
    waiting.record_prices(MYSTERY)
    waiting.rate_unpriced()
    written = waiting.rows(select(charges).order_by(charges.c.id))
    assert [(row.sign, row.amount_nano, row.price_grade, row.reason) for row in written] == [
        (-1, 0, PriceGrade.UNPRICED, "priced"),
        (1, 100_000, PriceGrade.RATED, "priced"),
    ] * 3
    assert {row.recorded_at for row in written} == {waiting.now}
    assert {row.billing_month for row in written} == {202611}


def test_rating_again_changes_nothing(waiting):
    waiting.record_prices(MYSTERY)
    waiting.rate_unpriced()
    rows = waiting.rows(select(charges)), waiting.rows(select(rollups))
    again = waiting.rate_unpriced()
    assert (again.rated, again.still_unpriced, again.by_model) == (0, 0, {})
    assert (waiting.rows(select(charges)), waiting.rows(select(rollups))) == rows


def test_without_a_price_nothing_changes(waiting):
    result = waiting.rate_unpriced()
    assert (result.rated, result.still_unpriced) == (0, 3)
    assert waiting.count(charges) == 0


def test_a_price_does_not_apply_before_it_takes_effect(waiting):
    waiting.record_prices(price_table(rate(1_000_000, 0, model="mystery"), source="m", effective_from=NOON + HOUR))
    result = waiting.rate_unpriced()
    assert (result.rated, result.still_unpriced, result.amount_nano) == (2, 1, 200_000)


def test_a_long_prompt_is_rated_at_its_context_tier(waiting):
    small = rate(1_000_000, 0, model="mystery")
    large = rate(2_000_000, 0, model="mystery", context_from=100)
    waiting.record_prices(price_table(small, large, source="tiers"))
    assert waiting.rate_unpriced().amount_nano == 600_000


def test_spend_moves_from_unpriced_to_rated_in_every_view(waiting):
    waiting.record_prices(MYSTERY)
    waiting.rate_unpriced()
    expected = [(("rated",), 4, 420_000)]
    views = [
        waiting.spend(group_by=("price_grade",)),
        waiting.spend(NOON - 1, NOON + DAY, group_by=("price_grade",)),
        waiting.spend(
            NOON - NOON % DAY - 2 * DAY,
            NOON - NOON % DAY + 28 * DAY,
            group_by=("price_grade",),
            period_basis=PeriodBasis.BILLING,
        ),
    ]
    for view in views:
        assert [(row.group, row.events, row.amount_nano) for row in view] == expected
    hours = waiting.spend(NOON, NOON + 4 * HOUR, granularity=Granularity.HOUR)
    assert [row.amount_nano for row in hours] == [220_000, 100_000, 100_000]


def test_rating_can_be_limited_to_an_account(waiting):
    other = waiting.declare("umbrella")
    waiting.ingest(usage_event(account="umbrella", model="mystery"))
    waiting.record_prices(MYSTERY)
    assert waiting.rate_unpriced(account_id=other).rated == 1
    assert [row.group for row in waiting.spend(group_by=("account",), filters={"price_grade": ("unpriced",)})] == [("acme",)]
    assert not waiting.violations()


def test_after_an_interruption_between_chunks_the_next_run_completes_the_work(waiting, monkeypatch):
    monkeypatch.setattr(operation, "CHUNK", 1)
    waiting.record_prices(MYSTERY)
    seen = []

    def stop(result):
        seen.append(result.rated)
        if result.rated == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        waiting.rate_unpriced(on_progress=stop)
    assert (seen, waiting.count(charges)) == ([1, 2], 4)
    assert not waiting.violations()
    assert waiting.rate_unpriced().rated == 1
    assert waiting.total() == 420_000
    assert not waiting.violations()


def test_a_failed_chunk_is_rolled_back(waiting, monkeypatch):
    waiting.record_prices(MYSTERY)

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(operation, "add_to_sums", fail)
    with pytest.raises(OSError, match="disk is full"):
        waiting.rate_unpriced()
    assert waiting.count(charges) == 0
    assert not waiting.violations()


def test_an_event_that_another_process_has_rated_is_left_alone(waiting, monkeypatch):
    waiting.record_prices(MYSTERY)
    calls: list[int] = []

    def found_too_early(connection, **options):
        found = unpriced_event_ids(connection, **options)
        if not calls:
            calls.append(1)
            waiting.rate_unpriced()
        return found

    monkeypatch.setattr(operation, "unpriced_event_ids", found_too_early)
    assert waiting.rate_unpriced().rated == 0
    assert (waiting.total(), waiting.count(charges)) == (420_000, 6)


def test_an_event_whose_price_was_reversed_can_be_rated_again(waiting):
    """The newest entry counts: an event that was priced, then unpriced by a later charge, is unpriced."""
    (llama,) = waiting.rows(select(events).where(events.c.price_grade == PriceGrade.RATED))
    insert = (
        "INSERT INTO charges (event_id, series_id, sign, amount_nano, rate_id, price_grade,"
        " billing_month, recorded_at, reason) VALUES (?, ?, ?, ?, ?, ?, 202611, 1, 'taken back')"
    )
    waiting.execute(insert, llama.id, llama.series_id, -1, -120_000, llama.rate_id, 0)
    waiting.execute(insert, llama.id, llama.series_id, 1, 0, None, 2)
    assert sum(group.events for group in list_unpriced(waiting.engine)) == 4
    assert waiting.rate_unpriced().by_model[("together", "llama")].amount_nano == 120_000
    assert [row.sign for row in waiting.rows(select(charges).order_by(charges.c.id))] == [-1, 1, -1, 1]


def test_a_folded_series_is_rated_by_the_models_on_its_events(meter):
    meter.configure(series_cap=1)
    meter.ingest(usage_event(project="p1"))
    meter.ingest(usage_event(project="p2"))
    meter.ingest(usage_event(model="mystery"))
    meter.record_prices(MYSTERY)
    assert meter.rate_unpriced().amount_nano == 100_000
    assert not meter.violations()


def test_an_event_with_too_large_a_charge_stays_unpriced(waiting):
    waiting.record_prices(price_table(rate(10**13, 0, model="mystery"), source="gold"))
    waiting.ingest(usage_event(), usage_event())
    waiting.execute("UPDATE events SET input_tokens = 1000000000 WHERE id = 1")
    assert (waiting.rate_unpriced().rated, waiting.rate_unpriced().still_unpriced) == (2, 1)
    assert [group.why for group in list_unpriced(waiting.engine)] == ["charge too large"]


def test_unpriced_usage_is_listed_with_the_reason(meter):
    meter.record_prices(price_table(rate(model="vision", prices={"output_tokens": Price(1)}), source="vision"))
    meter.ingest(
        usage_event(provider="unknown"),
        usage_event(model="mystery", route="unknown"),
        usage_event(model="mystery", time=NOON + 5),
        usage_event(model="mystery", time=NOON - 5),
        usage_event(quantities=Quantities(), quantity_grade=int(QuantityGrade.UNSTATED)),
        usage_event(quantities=Quantities(input_tokens=7, images=2, video_ms=3)),
        usage_event(model="vision", quantities=Quantities(output_tokens=5, characters=1)),
        usage_event(model="mystery", status=500),
    )
    listed = [
        (group.provider, group.model, group.route, group.why, group.events, group.tokens)
        for group in list_unpriced(meter.engine)
    ]
    assert listed == [
        ("together", "llama", "routed", "price missing for images, video_ms", 1, 7),
        ("together", "llama", "routed", "quantities unstated", 1, 0),
        ("together", "mystery", "routed", "no rate", 2, 220),
        ("together", "mystery", "unknown", "no route", 1, 110),
        ("together", "vision", "routed", "price missing for characters", 1, 5),
        ("unknown", "llama", "routed", "no provider", 1, 110),
    ]
    times = {group.why: (group.first_time, group.last_time) for group in list_unpriced(meter.engine)}
    assert times["no rate"] == (NOON - 5, NOON + 5)


def test_usage_that_can_be_rated_now_is_listed_as_not_rated_yet(waiting):
    waiting.record_prices(MYSTERY)
    assert [group.why for group in list_unpriced(waiting.engine)] == ["not rated yet"]
    waiting.rate_unpriced()
    assert list_unpriced(waiting.engine) == []


def test_unpriced_usage_can_be_listed_for_one_account(waiting):
    other = waiting.declare("umbrella")
    waiting.ingest(usage_event(account="umbrella", model="mystery"))
    assert [group.events for group in list_unpriced(waiting.engine, other)] == [1]
    assert [group.events for group in list_unpriced(waiting.engine)] == [4]
