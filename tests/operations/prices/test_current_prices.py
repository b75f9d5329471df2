"""The prices that a fetched list is compared with: the source's own, or before the first sync its bundled record."""

import pytest

from metering.operations.prices.current_prices import current_prices
from metering.operations.prices.pending_table import read_table, write_table
from metering.storage.engine.database import read_snapshot
from pricing.rates import Price, Rate
from pricing.tables import Layer, TableKind
from support.builders import DAY, FROM_2020, NOW, price_table, rate

SOURCE = "hf_router"


@pytest.fixture
def record(bare_meter):
    """A function that records a table of the source; by default a bundled patch."""

    def call(*rates, **fields):
        bare_meter.record_prices(price_table(*rates, **{"source": SOURCE, "layer": Layer.BUNDLED, "route": "routed"} | fields))

    return call


def own(**fields):
    return {"layer": Layer.ROUTE, "kind": TableKind.SNAPSHOT} | fields


def current(meter, instant=NOW):
    with read_snapshot(meter.engine) as connection:
        return current_prices(connection, SOURCE, "routed", instant)


def prices(meter, instant=NOW):
    found = current(meter, instant).prices
    return {key[1]: price.pico for key, price in found.items() if key[-1] == "input_tokens"}


def key(model):
    return ("together", model, "")


def test_without_tables_there_are_no_prices(bare_meter):
    assert current(bare_meter) == ({}, frozenset())


def test_before_the_first_sync_the_bundled_record_applies_change_by_change(bare_meter, record):
    record(rate(1), rate(2, model="b"), rate(3, model="c"))
    record(rate(5), withdrawn=frozenset({key("b")}), effective_from=FROM_2020 + DAY)
    record(rate(9), effective_from=NOW + DAY)
    assert prices(bare_meter) == {"llama": 5, "c": 3}
    assert prices(bare_meter, FROM_2020) == {"llama": 1, "b": 2, "c": 3}
    assert current(bare_meter).listed_before == {key("llama"), key("b"), key("c")}


def test_only_the_sources_newest_snapshot_applies(bare_meter, record):
    record(rate(1), rate(2, model="bundled"))
    record(rate(3), rate(4, model="gone"), **own())
    record(rate(5), withdrawn=frozenset({key("bundled")}), **own(effective_from=FROM_2020 + DAY))
    record(rate(7), **own(effective_from=NOW + DAY))
    assert prices(bare_meter) == {"llama": 5}
    # the newer snapshot withdraws what the older one listed
    assert current(bare_meter).listed_before == {key("llama"), key("bundled")}


def test_other_sources_routes_and_layers_do_not_apply(bare_meter, record):
    record(rate(1), source="another")
    record(rate(2), route="provider_key")
    record(rate(3), layer=Layer.OPERATOR)
    assert prices(bare_meter) == {}


def test_a_pending_table_is_read_back_as_it_was_written():
    table = price_table(
        Rate(
            provider="fal-ai",
            model="flux",
            operation="image",
            context_from=7,
            source="page 3",
            prices={"images": Price(25_000_000_000), "compute_ms": Price(432, 3_600_000)},
        ),
        rate(0, 0),
        source=SOURCE,
        route="routed",
        withdrawn=frozenset({key("b"), key("a")}),
        **own(effective_from=NOW),
    )
    again = read_table(write_table(table))
    assert again.digest == table.digest
    assert [each.source for each in again.rates] == ["page 3", ""]
    assert write_table(again) == write_table(table)
