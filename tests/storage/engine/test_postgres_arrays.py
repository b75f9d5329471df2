"""Arrays reach PostgreSQL unchanged."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, LargeBinary, SmallInteger, Text

from metering.storage.engine.database import read_snapshot
from metering.storage.engine.postgres_arrays import array_of, array_of_integers, array_of_texts, array_of_uuids

pytestmark = pytest.mark.only_on("postgresql")

as_often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
integers = st.none() | st.integers(-(2**63), 2**63 - 1)
# Neither database keeps a NUL or half of a surrogate pair; records that have one are refused before.
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def given_back(meter, array, kind, shown="value"):
    with read_snapshot(meter.engine) as connection:
        statement = f"SELECT {shown} FROM unnest(CAST(%s AS {kind}[])) AS value"
        return list(connection.exec_driver_sql(statement, (array,)).scalars())


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (BigInteger(), [1, None], "bigint"),
        (SmallInteger(), [1, None], "smallint"),
        (Text(), ["a", None], "text"),
        (LargeBinary(), [b"\0\xff", b""], "bytea"),
    ],
)
def test_each_kind_of_column(bare_meter, kind, values, named):
    assert given_back(bare_meter, array_of(kind, values), named) == values


@example(values=[None, -(2**63), 2**63 - 1, 0])
@given(values=st.lists(integers))
@as_often
def test_integers(bare_meter, values):
    assert given_back(bare_meter, array_of_integers(values), "bigint") == values


@example(values=["", "NULL", None, "{}", '"', "\\", '\\"', ",", " a ", "\n", "a,b", '{"a": "\\u00e9"}', "é"])
@given(values=st.lists(texts))
@as_often
def test_texts(bare_meter, values):
    assert given_back(bare_meter, array_of_texts(values), "text") == values


@given(values=st.lists(st.binary(min_size=16, max_size=16)))
@as_often
def test_uuids(bare_meter, values):
    assert given_back(bare_meter, array_of_uuids(values), "uuid", "uuid_send(value)") == values
