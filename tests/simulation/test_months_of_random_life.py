"""Months of random life, lived by the service and by an oracle that shares no code with it, come to the same statements.

Each life ends with ``metering verify``. A failing seed prints its life made short, and how to live it again.
"""

import pytest

from metering.storage.engine.database import open_database
from simulation.database import one_database
from simulation.shorten import shortened
from simulation.simulate import simulate
from simulation.world import life

SEEDS = 200
AT_ONCE = 20
ON_POSTGRES = 8


@pytest.fixture(scope="module")
def empty():
    """A function that returns an empty database, the same file each time."""
    with one_database() as emptied:
        yield emptied


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_statement_of_a_random_life_is_what_the_oracle_says(empty, first):
    for seed in range(first, first + AT_ONCE):
        failure = simulate(life(seed), empty())
        if failure is not None:
            short = shortened(failure, empty)
            pytest.fail(f"{short}\n\nTo live it again: make simulate FIRST={seed} SEEDS=1", pytrace=False)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("seed", range(ON_POSTGRES))
def test_a_random_life_comes_to_the_same_on_a_server(databases, seed):
    engine = open_database(databases.new())
    try:
        failure = simulate(life(seed), engine)
    finally:
        engine.dispose()
        databases.drop(engine.url.render_as_string(hide_password=False))
    assert failure is None, str(failure)
