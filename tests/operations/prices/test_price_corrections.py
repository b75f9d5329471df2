"""A correction of a price can be undone, and a table that is in effect is not recorded again."""

import pytest
from sqlalchemy import select

from metering.domain.prices.account_discounts import DiscountRequest
from metering.operations.prices.discount_prices import discount_prices
from metering.operations.prices.import_price_list import import_price_list
from metering.operations.prices.import_prices import PriceSheet, import_prices
from metering.operations.upkeep.upgrade_database import upgrade_database
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.price_tables import load_tables, record_tables, table_by_digest
from metering.storage.tables import price_discounts, price_tables
from pricing.errors import InvalidPriceError
from pricing.quantities import Quantities
from pricing.sources.litellm import parse_price_map
from pricing.sources.source_report import SourceReport
from pricing.tables import Layer, TableKind
from support.builders import DAY, FROM_2020, NOON, NOW, price_table, rate, usage_event

SHEET = """\
source: our contract
route: any
currency: USD
provider: {provider}
models:
  - model: {model}
    versions:
      - from: 2026-11-01
        usd_per_million: {{input_tokens: {price}, output_tokens: 0}}
        source: the contract
"""
MAP = (
    b'{"together_ai/listed": {"litellm_provider": "together_ai", "mode": "chat",'
    b' "input_cost_per_token": %s, "output_cost_per_token": 1e-06}}'
)
PERCENT = 10_000


def sheet(meter, price, *, provider="together", model="own", account=None):
    meter.now += 1
    text = SHEET.format(provider=provider, model=model, price=price)
    return import_prices(
        meter.engine, PriceSheet(text.encode(), "s.yaml"), account=account, rate=False, now=meter.now
    ).table_ids


def price_map(meter, price, effective_from=NOON - DAY):
    meter.now += 1
    report = parse_price_map(MAP % price, effective_from=effective_from, name="map.json")
    return import_price_list(meter.engine, report, rate=False, now=meter.now).table_ids


def discount(meter, percent, **fields):
    meter.now += 1
    request = DiscountRequest("acme", percent * PERCENT, NOON - DAY, **fields)
    return discount_prices(meter.engine, request, now=meter.now).table_ids


def cost(meter, model="own", route="routed", **fields):
    """Return what a request of 100 input tokens costs now, in nano-USD."""
    before = meter.total()
    meter.ingest(usage_event(model=model, route=route, quantities=Quantities(input_tokens=100), **fields))
    return meter.total() - before


def test_importing_a_corrected_sheet_again_undoes_the_correction(meter):
    # $1 per million is 1,000 nano-USD per token, for 100 tokens
    assert sheet(meter, 1)
    assert cost(meter) == 100_000
    assert sheet(meter, 3)
    assert cost(meter) == 300_000
    assert sheet(meter, 1)
    assert cost(meter) == 100_000
    assert sheet(meter, 1) == []
    assert not meter.violations()


def test_a_sheet_with_other_prices_corrects_nothing(meter):
    sheet(meter, 1)
    sheet(meter, 3, provider="novita")
    assert sheet(meter, 1) == []
    assert cost(meter) == 100_000


def test_importing_a_corrected_map_again_undoes_the_correction(meter):
    for price, nano in ((b"1e-06", 100_000), (b"3e-06", 300_000), (b"1e-06", 100_000)):
        assert price_map(meter, price)
        assert cost(meter, "listed", "provider_key") == nano
    assert price_map(meter, b"1e-06") == []


def test_an_ended_discount_can_be_given_again(meter):
    for percent, nano in ((25, 75_000), (0, 100_000), (25, 75_000)):
        assert discount(meter, percent)
        assert cost(meter, "llama") == nano
    rows = meter.count(price_discounts)
    assert discount(meter, 25) == []
    assert meter.count(price_discounts) == rows == 3
    assert not meter.violations()


def test_a_correction_applies_even_if_the_clock_was_set_back(meter):
    sheet(meter, 1)
    sheet(meter, 3)
    meter.now -= DAY
    (corrected,) = sheet(meter, 1)
    assert cost(meter) == 100_000
    (row,) = meter.rows(select(price_tables).where(price_tables.c.id == corrected))
    assert row.recorded_at == NOW + 2


def test_a_snapshot_is_no_longer_in_effect_after_any_later_table_in_its_slot(meter):
    snapshot = price_table(rate(1_000_000, model="own"), source="list", kind=TableKind.SNAPSHOT)
    other = price_table(rate(2_000_000, model="other"), source="list")
    with exclusive_write(meter.engine) as connection:
        assert len(record_tables(connection, [snapshot, other], now=NOW)) == 2
        assert record_tables(connection, [other], now=NOW) == []
        assert len(record_tables(connection, [snapshot], now=NOW)) == 1
        newest = max(table.id for table in load_tables(connection))
        assert table_by_digest(connection, snapshot.digest) == newest


def test_an_upgrade_does_not_undo_a_correction_of_its_tables(bare_meter):
    upgrade_database(bare_meter.engine, now=NOW)
    with read_snapshot(bare_meter.engine) as connection:
        bundled = next(table for table in load_tables(connection) if table.rates)
    corrected = price_table(
        *(rate(7, 7, provider=each.provider, model=each.model, operation=each.operation) for each in bundled.rates[:1]),
        source=bundled.source, layer=bundled.layer, route=bundled.route, effective_from=bundled.effective_from,
    )  # fmt: skip
    bare_meter.record_prices(corrected)
    assert upgrade_database(bare_meter.engine, now=NOW + 1) == 0


def test_an_imported_list_is_not_compared_with_synced_prices_of_the_same_source(meter):
    def imported(price, day):
        fields = {"source": "hf_router", "layer": Layer.BUNDLED, "route": "routed", "effective_from": FROM_2020 + day * DAY}
        report = SourceReport((price_table(rate(price, model="own"), **fields),), ())
        return import_price_list(meter.engine, report, rate=False, now=meter.now).table_ids

    assert len(imported(1, 0)) == 1
    answer = {"source": "hf_router", "layer": Layer.ROUTE, "route": "routed", "kind": TableKind.SNAPSHOT}
    meter.record_prices(price_table(rate(2, model="own"), **answer))
    # a list without dates takes effect on the day it is imported
    assert imported(1, 1) == imported(1, 2) == []
    assert len(imported(3, 3)) == 1


def test_the_source_name_of_discounts_is_reserved(meter):
    text = SHEET.format(provider="together", model="own", price=1).replace("our contract", "discount")
    with pytest.raises(InvalidPriceError, match="give the sheet another source"):
        import_prices(meter.engine, PriceSheet(text.encode(), "s.yaml"), account="acme", rate=False, now=NOW)
