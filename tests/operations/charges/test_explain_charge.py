"""An explanation shows the quantities, the rate and its price table, every multiplication, and the full history."""

import pytest

from metering.domain.errors import NotFoundError
from metering.domain.usage.events import PriceGrade
from metering.operations.charges.explain_charge import AmbiguousEventError, explain_charge
from pricing.quantities import Quantities
from pricing.tables import Layer
from support.builders import FROM_2020, NOON, NOW, SECOND, price_table, rate, usage_event

ACME = 2
RESPONSE = "ebafdc12cee84cf29c1b"


def explain(meter, event_id="e1", source=None, account_id=ACME):
    return explain_charge(meter.engine, account_id, event_id, source)


def test_a_rated_charge_shows_its_rate_price_table_and_every_multiplication(meter):
    meter.ingest(usage_event(id="e1", quantities=Quantities(input_tokens=3, cache_read_tokens=2, output_tokens=1)))
    found = explain(meter)
    assert found.event.charge_nano == 7_000
    assert [(part.kind, part.quantity, part.amount_pico, part.assumed) for part in found.breakdown.parts] == [
        ("input_tokens", 3, 3_000_000, False),
        ("cache_read_tokens", 2, 2_000_000, True),
        ("output_tokens", 1, 2_000_000, False),
    ]
    version = found.version
    assert (version.id, version.source, version.layer) == (found.rate.table_id, "sheet", Layer.OPERATOR)
    assert (version.effective_from, version.recorded_at) == (FROM_2020, NOW)
    (first,) = found.history
    assert (first.type, first.amount_nano, first.reason, first.recorded_at) == ("charge", 7_000, "", NOW)


def test_the_history_lists_every_charge_with_its_reason_time_and_run(meter):
    meter.ingest(usage_event(id="e1", model="mystery"))
    meter.now += SECOND
    meter.record_prices(price_table(rate(model="mystery"), source="first"))
    meter.rate_unpriced()
    meter.now += SECOND
    meter.record_prices(price_table(rate(2_000_000, 0, model="mystery"), source="second", effective_from=FROM_2020 + 1))
    run = meter.rerate(reason="found the contract").run
    found = explain(meter)
    assert [
        (entry.type, entry.amount_nano, entry.price_grade, entry.version and entry.version.source, entry.reason,
         entry.run_id, entry.recorded_at - NOW)
        for entry in found.history
    ] == [
        ("charge", None, PriceGrade.UNPRICED, None, "", None, 0),
        ("reversal", None, PriceGrade.UNPRICED, None, "priced", None, SECOND),
        ("replacement", 120_000, PriceGrade.RATED, "first", "priced", None, SECOND),
        ("reversal", -120_000, PriceGrade.RATED, "first", "found the contract", run.id, 2 * SECOND),
        ("replacement", 200_000, PriceGrade.RATED, "second", "found the contract", run.id, 2 * SECOND),
    ]  # fmt: skip
    assert (found.event.charge_nano, found.version.source, found.breakdown.amount_nano) == (200_000, "second", 200_000)


def test_an_event_without_a_rate_has_a_reason(meter):
    meter.ingest(
        usage_event(id="unpriced", model="mystery"),
        usage_event(id="reported", model="mystery", reported_cost_nano=5),
        usage_event(id="failed", status=500),
    )
    found = {name: explain(meter, name) for name in ("unpriced", "reported", "failed")}
    assert [(each.rate, each.breakdown, each.missing) for each in found.values()] == [
        (None, None, "no rate"), (None, None, ""), (None, None, ""),
    ]  # fmt: skip
    assert [each.event.charge_nano for each in found.values()] == [None, 5, 0]


def test_the_source_is_optional_only_if_one_source_has_the_id(meter):
    meter.ingest(usage_event(id="e1"), usage_event(id="e1", source="other", time=NOON + SECOND), usage_event(id="e2"))
    assert explain(meter, "e2").event.source == "gateway"
    assert explain(meter, "e1", "other").event.position.event_time == NOON + SECOND
    with pytest.raises(AmbiguousEventError, match="'gateway', 'other'") as caught:
        explain(meter, "e1")
    assert caught.value.sources == ["gateway", "other"]


def test_an_id_shared_with_a_copy_names_the_counted_event(meter):
    meter.ingest(usage_event(id="e1", response_id=RESPONSE), usage_event(id="e1", source="tracer", response_id=RESPONSE))
    assert explain(meter).event.source == "gateway"
    with pytest.raises(NotFoundError, match="a copy of event 'e1' from source 'gateway'"):
        explain(meter, "e1", "tracer")


def test_another_accounts_event_is_not_found(meter):
    umbrella = meter.declare("umbrella")
    meter.ingest(usage_event(id="e1"))
    for account_id, event_id, source in [(umbrella, "e1", None), (ACME, "e9", None), (ACME, "e1", "nowhere")]:
        with pytest.raises(NotFoundError, match="the account has no event"):
            explain(meter, event_id, source, account_id)
