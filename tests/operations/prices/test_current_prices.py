"""What an answer is compared with: the source's own prices, or the bundled record of them before there are any."""

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
    """A function that records a table of the source: a bundled patch unless it is told otherwise."""

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


def test_where_nothing_is_recorded_nothing_is_known(bare_meter):
    assert current(bare_meter) == ({}, frozenset())


def test_before_the_source_was_asked_its_bundled_record_counts_change_by_change(bare_meter, record):
    record(rate(1), rate(2, model="b"), rate(3, model="c"))
    record(rate(5), withdrawn=frozenset({key("b")}), effective_from=FROM_2020 + DAY)
    record(rate(9), effective_from=NOW + DAY)
    assert prices(bare_meter) == {"llama": 5, "c": 3}
    assert prices(bare_meter, FROM_2020) == {"llama": 1, "b": 2, "c": 3}
    assert current(bare_meter).listed_before == {key("llama"), key("b"), key("c")}


def test_its_own_newest_snapshot_counts_alone(bare_meter, record):
    record(rate(1), rate(2, model="bundled"))
    record(rate(3), rate(4, model="gone"), **own())
    record(rate(5), withdrawn=frozenset({key("bundled")}), **own(effective_from=FROM_2020 + DAY))
    record(rate(7), **own(effective_from=NOW + DAY))
    assert prices(bare_meter) == {"llama": 5}
    # what an older snapshot of its own listed is withdrawn by the newer already
    assert current(bare_meter).listed_before == {key("llama"), key("bundled")}


def test_what_others_say_does_not_count(bare_meter, record):
    record(rate(1), source="another")
    record(rate(2), route="provider_key")
    record(rate(3), layer=Layer.OPERATOR)
    assert prices(bare_meter) == {}


def test_a_held_table_is_read_back_as_it_was_written():
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
