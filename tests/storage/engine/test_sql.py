"""Expressions that must give the same result on both databases."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, select, union_all

from metering.storage.engine.database import read_snapshot
from metering.storage.engine.sql import halved_sum, is_not_zero, whole_sum
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
