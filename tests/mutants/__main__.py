"""``make mutants``: plant bugs one at a time in a copy of the checkout, and see the tests notice.

``planted.yaml`` lists them: what the bug does, the file, the text that is replaced and what by, the tests that must fail.
Without a bug these tests must pass. Ends with 1 if a bug survives.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.table import Table

from mutants.planted import Mutant, planted
from mutants.planting import Outcome, copy_of_checkout, plant_all, run_tests

BASELINE_SECONDS = 1_800
COPIES = 2


def main() -> int:
    """Plant the bugs that match; print what became of each."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", default="", help="plant only bugs whose file or name contains this")
    parser.add_argument("--jobs", type=int, default=COPIES, help="how many bugs to plant at once, each in its own copy")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False, markup=False)
    chosen = [mutant for mutant in planted() if arguments.only in f"{mutant.file} {mutant.name}"]
    if not chosen:
        console.print(f"no planted bug has {arguments.only!r} in its file or name; tests/mutants/planted.yaml lists them")
        return 1
    started = monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [copy_of_checkout(Path(folder) / str(number) / "checkout") for number in range(max(1, arguments.jobs))]
        if not passes_without_bugs(copies[0], chosen, console):
            return 1
        outcomes = plant_all(copies, chosen, lambda outcome: console.print(line_about(outcome)))
    return report(outcomes, monotonic() - started, console)


def passes_without_bugs(copy: Path, mutants: Sequence[Mutant], console: Console) -> bool:
    """Return whether the tests of the bugs pass without any; a test that fails anyway notices nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    files = {test for test in tests if "::" not in test}
    wanted = [test for test in tests if test in files or test.partition("::")[0] not in files]
    console.print(f"running the tests of {len(mutants)} bugs without a bug")
    code, said = run_tests(copy, wanted, seconds=BASELINE_SECONDS)
    if code:
        console.print(said)
        console.print("the tests fail without a bug, so no bug was planted", style="bold red")
    return code == 0


def line_about(outcome: Outcome) -> str:
    """Return one line about a bug."""
    test = f", by {outcome.noticed_by}" if outcome.noticed_by else ""
    return f"{outcome.seconds:4.0f} s  {outcome.what}{test}: {outcome.mutant.name} ({outcome.mutant.file})"


def report(outcomes: Sequence[Outcome], seconds: float, console: Console) -> int:
    """Print the bugs that survived, with the tests that should have noticed; return the exit code."""
    survivors = [outcome for outcome in outcomes if not outcome.is_caught]
    if survivors:
        table = Table("bug", "file", "what became of it", "tests that should notice", title="Survivors")
        for outcome in survivors:
            table.add_row(outcome.mutant.name, outcome.mutant.file, outcome.what, "\n".join(outcome.mutant.tests))
        console.print(table)
    style = "bold red" if survivors else "bold green"
    caught = len(outcomes) - len(survivors)
    console.print(f"{len(outcomes)} bugs in {seconds:.0f} s: {caught} caught, {len(survivors)} survived", style=style)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
