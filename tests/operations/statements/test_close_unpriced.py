"""Usage without a price or route when its month is closed: listed there, and later only if there is more of it."""

import pytest

from metering.domain.statements.statements import Flag
from metering.operations.statements.close_month import UnpricedUsageError
from pricing.quantities import Quantities
from support.builders import instant, price_table, rate, usage_event

OCTOBER, NOVEMBER, DECEMBER = 202610, 202611, 202612


@pytest.fixture
def october(meter):
    """It is 4 November, and October is not closed yet."""
    meter.now = instant("2026-11-04T00:00:00Z")
    return meter


def test_usage_priced_after_the_close_does_not_hide_late_unpriced_usage(october):
    october.ingest(usage_event(time=instant("2026-10-20T00:00:00Z"), model="new"))
    october.close(OCTOBER, allow_unpriced=True)
    # The price begins on 15 October: November reverses what October listed, and has the late event without a price.
    october.record_prices(price_table(rate(model="new"), effective_from=instant("2026-10-15T00:00:00Z")))
    october.rate_unpriced()
    october.ingest(usage_event(time=instant("2026-10-05T00:00:00Z"), model="new", quantities=Quantities(input_tokens=7)))
    (waiting,) = october.statement(NOVEMBER).unpriced
    assert (waiting.model, waiting.origin_month, waiting.events, waiting.tokens) == ("new", OCTOBER, 1, 7)
    october.now = instant("2026-12-04T00:00:00Z")
    with pytest.raises(UnpricedUsageError):
        october.close(NOVEMBER)
    assert Flag.UNPRICED_USAGE in october.close(NOVEMBER, allow_unpriced=True).flags
    october.record_prices(price_table(rate(model="new")))
    october.rate_unpriced()
    assert october.statement(DECEMBER).unpriced == ()
    assert october.violations() == []


def test_usage_of_unknown_route_is_flagged_where_it_is_listed_and_not_where_it_is_re_rated(october):
    october.ingest(usage_event(time=instant("2026-10-20T00:00:00Z"), route="unknown"))
    assert Flag.ROUTE_UNKNOWN in october.close(OCTOBER).flags
    october.record_prices(price_table(rate(2_000_000)))
    october.rerate()
    november = october.statement(NOVEMBER)
    assert (november.route_unknown, Flag.ROUTE_UNKNOWN in november.flags) == ((), False)
