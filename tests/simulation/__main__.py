"""Live any number of random lives: ``make simulate SEEDS=5000``, or from any seed on: ``make simulate FIRST=123 SEEDS=1``.

Exits with 1 after the first life that fails; what is printed is that life, made short, and the command that lives it again.
"""

import argparse
import logging
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from simulation.database import one_database
from simulation.shorten import shortened
from simulation.simulate import simulate
from simulation.world import life

TOLD_EVERY = 100  # lives, where there is no bar to look at


def main() -> int:
    """Live the lives that were asked for."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many lives")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    asked = parser.parse_args()
    logging.disable()  # of what is broken off on purpose
    console = Console()
    began = time.perf_counter()
    columns = (TextColumn("random lives"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with one_database() as empty, Progress(*columns, console=console) as progress:
        steps = 0
        for seed in progress.track(range(asked.first, asked.first + asked.seeds)):
            script = life(seed)
            failure = simulate(script, empty())
            steps += len(script.steps)
            if not console.is_terminal and (seed + 1 - asked.first) % TOLD_EVERY == 0:
                console.print(f"{seed + 1 - asked.first:,} of {asked.seeds:,} lives")
            if failure is not None:
                progress.stop()
                console.print(str(shortened(failure, empty)), markup=False, highlight=False, soft_wrap=True)
                console.print(f"\nSeed {seed} fails. To live it again: make simulate FIRST={seed} SEEDS=1", style="bold red")
                return 1
    seconds = time.perf_counter() - began
    console.print(
        f"{asked.seeds:,} lives, {steps:,} steps, in {seconds:,.0f} s: each statement is what the oracle says, to the nano-USD."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
