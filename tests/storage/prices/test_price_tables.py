"""Price tables are read back as they were recorded, with few statements for any number of rates."""

import pytest
from sqlalchemy import event

from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.price_tables import load_tables, record_tables
from pricing.rates import Price
from support.builders import NOW, price_table, rate


@pytest.fixture
def statements(bare_meter):
    """The statements that are executed."""
    seen = []

    def note(_connection, _cursor, statement, *_rest):
        seen.append(statement)

    event.listen(bare_meter.engine, "before_cursor_execute", note)
    yield seen
    event.remove(bare_meter.engine, "before_cursor_execute", note)


def record(meter, *tables):
    with exclusive_write(meter.engine) as connection:
        return record_tables(connection, tables, now=NOW)


def load(meter, *arguments, **options):
    with read_snapshot(meter.engine) as connection:
        return load_tables(connection, *arguments, **options)


def listed(table):
    return sorted(
        (each.model, each.operation, each.context_from, each.source, dict(each.prices)["images"]) for each in table.rates
    )


def test_a_table_is_read_back_with_every_tier_price_and_withdrawal(bare_meter):
    tiers = [
        rate(model="a", operation=operation, context_from=size, source=f"page {size}", prices={"images": Price(size + 1, 7)})
        for operation in ("", "image")
        for size in (0, 9)
    ]
    table = price_table(*tiers, withdrawn=frozenset({("together", "b", ""), ("novita", "a", "")}))
    record(bare_meter, price_table(rate()), table)
    read = load(bare_meter)[1]
    assert (read.digest, read.withdrawn, listed(read)) == (table.digest, table.withdrawn, listed(table))
    assert all(each.id and each.table_id == read.id for each in read.rates)


def test_ten_thousand_rates_are_recorded_by_a_few_statements(bare_meter, statements):
    record(bare_meter, price_table(*(rate(model=f"m{number}") for number in range(10_000))))
    # at 8,000 values per statement, SQLite needs 9 for rates and 10 for prices; COPY needs none
    assert len(statements) < 30
    assert len(load(bare_meter)[0].rates) == 10_000


def test_newer_tables_can_be_read_alone(bare_meter):
    first, second, third = record(bare_meter, *(price_table(rate(pico)) for pico in (1, 2, 3)))
    assert [table.id for table in load(bare_meter, after=first)] == [second, third]
    assert [[each.prices["input_tokens"].pico for each in table.rates] for table in load(bare_meter, after=second)] == [[3]]
    assert load(bare_meter, after=third) == []
    assert [table.id for table in load(bare_meter, [first, third], after=first)] == [third]
    assert load(bare_meter, []) == []
