"""Expressions that must give the same result on both databases."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, select, union_all
from sqlalchemy.exc import DBAPIError

from metering.storage.engine.database import read_snapshot
from metering.storage.engine.errors import is_overflow
from metering.storage.engine.sql import halved_sum, is_not_zero, json_sum, whole_sum
from metering.storage.tables.schema import Int64

amounts = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), -1, 0, 1, 2**32 - 1, 2**32, 2**63 - 1])


@example(found=[-1, 1])
@example(found=[2**63 - 1] * 3)
@given(found=st.lists(amounts, min_size=1, max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_sum_in_halves_is_the_sum_however_large(bare_meter, found):
    rows = union_all(*(select(literal(amount, Int64).label("amount")) for amount in found)).subquery()
    halves = halved_sum(rows.c.amount)
    with read_snapshot(bare_meter.engine) as connection:
        high, low, not_zero = connection.execute(select(*halves, is_not_zero(*halves))).one()
    assert whole_sum(high, low) == sum(found)
    assert bool(not_zero) == (sum(found) != 0)


def add_json(meter, first, second):
    with read_snapshot(meter.engine) as connection:
        return connection.execute(select(json_sum(literal(first), literal(second)))).scalar_one()


@pytest.mark.parametrize(
    ("first", "second", "added"),
    [
        ("", "", {}),
        ('{"a":1}', "", {"a": 1}),
        ("", '{"a":1}', {"a": 1}),
        ('{"a":1,"b":2}', '{"c":5,"b":-3}', {"a": 1, "b": -1, "c": 5}),
        ('{"a":1,"b":2}', '{"a":-1}', {"b": 2}),
        ('{"a":9223372036854775806}', '{"a":1}', {"a": 2**63 - 1}),
    ],
)
def test_counts_that_are_json_are_added_up_by_name(bare_meter, first, second, added):
    assert json.loads(add_json(bare_meter, first, second) or "{}") == added


def test_counts_that_are_json_and_cancel_out_are_empty(bare_meter):
    assert add_json(bare_meter, '{"a":1}', '{"a":-1}') == ""


def test_a_sum_of_counts_that_leaves_64_bits_is_an_overflow(bare_meter):
    with pytest.raises(DBAPIError) as refused:
        add_json(bare_meter, '{"a":9223372036854775807}', '{"a":1}')
    assert is_overflow(refused.value)
