"""In random scenarios, the service and an oracle that shares no code with it produce the same statements.

Each scenario ends with ``metering verify``. A failing seed prints its shortened scenario and how to run it again.
"""

import pytest

from simulation.database import one_database
from simulation.random_scenarios import random_scenario
from simulation.shorten import shortest
from simulation.simulate import simulate
from support.meter import metered

SEEDS = 200
SEEDS_PER_TEST = 20
POSTGRES_SEEDS = 8


@pytest.fixture(scope="module")
def empty():
    """A function that returns an empty database, the same file each time."""
    with one_database() as emptied:
        yield emptied


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_every_statement_of_a_random_scenario_matches_the_oracle(empty, first):
    for seed in range(first, first + SEEDS_PER_TEST):
        failure = simulate(random_scenario(seed), empty())
        if failure is not None:
            short = shortest(failure, empty)
            pytest.fail(f"{short}\n\nTo run it again: make simulate FIRST={seed} SEEDS=1", pytrace=False)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("seed", range(POSTGRES_SEEDS))
def test_random_scenarios_match_the_oracle_on_postgresql(databases, seed):
    with metered(databases) as meter:
        failure = simulate(random_scenario(seed), meter.engine)
    assert failure is None, str(failure)
