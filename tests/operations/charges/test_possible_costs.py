"""Unpriced usage without a provider or a route shows a range in spend, in `prices unpriced` and on drafts, never in a sum."""

import pytest

from metering.domain.charges.spend import Granularity
from metering.operations.charges.list_unpriced import list_unpriced
from metering.operations.steps import possible_costs
from pricing.possible import PossibleCost
from pricing.quantities import Quantities
from support.builders import instant, price_table, rate, usage_event

NOVEMBER = 202611
THIRD, FOURTH = instant("2026-11-03T10:00:00Z"), instant("2026-11-04T10:00:00Z")


@pytest.fixture
def partners(meter):
    """`llama` costs $1.00 a million tokens in at together, as ever, and $0.40 at novita."""
    meter.record_prices(price_table(rate(400_000, 400_000, provider="novita"), source="another list"))
    return meter


def use(meter, time=THIRD, *, thousands=1, **fields):
    meter.ingest(usage_event(time=time, quantities=Quantities(input_tokens=thousands * 1_000), **fields))


def test_spend_shows_the_range_and_adds_nothing(partners):
    use(partners, provider="unknown")
    use(partners, FOURTH, thousands=2, provider="unknown")
    use(partners, thousands=3)  # together: $0.003
    (row,) = partners.spend()
    assert (row.amount_nano, row.unpriced_events) == (3_000_000, 2)
    assert row.possible == PossibleCost(2, 1_200_000, 3_000_000)
    days = partners.spend(granularity=Granularity.DAY)
    assert [day.possible for day in days] == [PossibleCost(1, 400_000, 1_000_000), PossibleCost(1, 800_000, 2_000_000)]
    hours = partners.spend(THIRD - THIRD % 3_600_000_000, FOURTH, granularity=Granularity.HOUR)
    assert [hour.possible for hour in hours] == [PossibleCost(1, 400_000, 1_000_000)]
    by_provider = partners.spend(group_by=("provider",))
    assert [(row.group, row.possible) for row in by_provider] == [
        (("together",), None),
        (("unknown",), PossibleCost(2, 1_200_000, 3_000_000)),
    ]


def test_part_of_a_day_has_the_range_of_that_part(partners):
    use(partners, provider="unknown")
    use(partners, THIRD + 60_000_000, provider="unknown")
    (row,) = partners.spend(THIRD, THIRD + 1)
    assert row.possible == PossibleCost(1, 400_000, 1_000_000)


def test_the_reasons_have_their_ranges_and_what_mends_them(partners):
    use(partners, provider="unknown")
    use(partners, provider="unknown")
    use(partners, model="acme/own", provider="unknown")
    use(partners, model="acme/own")
    found = {(each.model, each.why): (each.possible, each.remedy.split(" --")[0]) for each in list_unpriced(partners.engine)}
    assert found == {
        ("llama", "no provider"): (PossibleCost(2, 800_000, 2_000_000), "metering usage correct"),
        ("acme/own", "no provider"): (None, "metering usage correct"),
        ("acme/own", "no rate"): (None, "metering prices import SHEET"),
    }


def test_usage_without_quantities_has_no_range(partners):
    partners.ingest(usage_event(time=THIRD, provider="unknown", quantities=Quantities(), quantity_grade=2))
    (row,) = partners.spend()
    assert (row.unpriced_events, row.possible) == (1, None)


def test_the_draft_shows_the_range_and_the_closed_statement_is_sealed_without(partners):
    use(partners, provider="unknown")
    draft = partners.statement(NOVEMBER)
    (unpriced,) = draft.unpriced
    assert (unpriced.possible, draft.total_cents) == (PossibleCost(1, 400_000, 1_000_000), 0)
    partners.now = instant("2026-12-04T00:00:00Z")
    closed = partners.close(NOVEMBER, allow_unpriced=True)
    assert [each.possible for each in closed.unpriced] == [None]
    assert partners.statement(NOVEMBER) == closed
    assert partners.violations() == []


def test_usage_with_an_unknown_route_has_its_range_on_the_draft(partners):
    routed = price_table(rate(500_000, 500_000, model="qwen"), source="routed only", route="routed")
    partners.record_prices(routed)
    partners.ingest(
        usage_event(time=THIRD, model="qwen", route="", quantities=Quantities(input_tokens=1_000)), source="no route"
    )
    (excluded,) = partners.statement(NOVEMBER).route_unknown
    assert (excluded.amount_nano, excluded.possible) == (None, PossibleCost(1, 500_000, 500_000))


def test_a_range_goes_when_the_usage_is_priced(partners):
    use(partners, provider="acme-gpus", route="routed")
    assert partners.spend()[0].possible is None
    partners.record_prices(price_table(rate(1_000_000, 1, provider="acme-gpus"), source="theirs"))
    partners.rate_unpriced()
    (row,) = partners.spend()
    assert (row.amount_nano, row.unpriced_events, row.possible) == (1_000_000, 0, None)


def test_beyond_the_bound_there_is_no_range_rather_than_a_part_of_one(partners, monkeypatch):
    monkeypatch.setattr(possible_costs, "MAX_ROWS", 1)
    use(partners, provider="unknown")
    assert partners.spend()[0].possible == PossibleCost(1, 400_000, 1_000_000)
    use(partners, FOURTH, provider="unknown")
    assert partners.spend()[0].possible is None
