"""Run any number of random scenarios: ``make simulate SEEDS=5000``, or from any seed: ``make simulate FIRST=123 SEEDS=1``.

Exits with 1 after the first scenario that fails; prints it, shortened, and the command that runs it again.
"""

import argparse
import logging
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from simulation.database import one_database
from simulation.random_scenarios import random_scenario
from simulation.shorten import shortest
from simulation.simulate import simulate

PROGRESS_EVERY = 100  # scenarios; only without a terminal


def main() -> int:
    """Run the requested scenarios."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="number of scenarios")
    parser.add_argument("--first", type=int, default=0, help="seed of the first one")
    options = parser.parse_args()
    logging.disable()  # interruptions are intended
    console = Console()
    began = time.perf_counter()
    columns = (TextColumn("random scenarios"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with one_database() as empty, Progress(*columns, console=console) as progress:
        steps = 0
        for seed in progress.track(range(options.first, options.first + options.seeds)):
            scenario = random_scenario(seed)
            failure = simulate(scenario, empty())
            steps += len(scenario.steps)
            if not console.is_terminal and (seed + 1 - options.first) % PROGRESS_EVERY == 0:
                console.print(f"{seed + 1 - options.first:,} of {options.seeds:,} scenarios")
            if failure is not None:
                progress.stop()
                console.print(str(shortest(failure, empty)), markup=False, highlight=False, soft_wrap=True)
                console.print(f"\nSeed {seed} fails. To run it again: make simulate FIRST={seed} SEEDS=1", style="bold red")
                return 1
    seconds = time.perf_counter() - began
    console.print(
        f"{options.seeds:,} scenarios, {steps:,} steps in {seconds:,.0f} s: every statement matches the oracle to the nano-USD."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
