"""``make mutants``: plant bugs one at a time in a copy of the checkout, and see the tests notice.

``planted.yaml`` lists them: the file, the text that is replaced and what by, the tests that must fail, and what the bug would
do. A bug is caught when those tests fail, not when they cannot run. Ends with 1 if a bug survives.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mutants.planted import Mutant, planted
from support.places import ROOT

CAUGHT, SURVIVED = "caught", "SURVIVED"
TESTS_FAILED = 1
SECONDS = 600


def main() -> int:
    """Run the planted bugs that match; print what became of each."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", default="", help="run only bugs whose file or name contains this")
    chosen = [mutant for mutant in planted() if parser.parse_args().only in f"{mutant.file} {mutant.name}"]
    console = Console()
    table = Table("bug", "file", "what became of it", "s", title=f"{len(chosen)} planted bugs")
    survived = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = copy_of_checkout(Path(folder) / "checkout")
        for mutant in chosen:
            started = time.monotonic()
            outcome = plant(copy, mutant)
            survived += outcome != CAUGHT
            table.add_row(mutant.name, mutant.file, outcome, f"{time.monotonic() - started:.0f}")
            console.print(f"{outcome:10} {mutant.name}  ({mutant.file})", highlight=False)
    console.print(table)
    console.print(f"{len(chosen) - survived} caught, {survived} survived", style="bold red" if survived else "bold green")
    return 1 if survived else 0


def copy_of_checkout(target: Path) -> Path:
    """Copy every tracked file."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def plant(copy: Path, mutant: Mutant) -> str:
    """Plant one bug, run its tests, and take it out again; return what became of it."""
    path = copy / mutant.file
    right = path.read_text(encoding="utf-8")
    path.write_text(mutant.applied_to(right), encoding="utf-8")
    try:
        code = run_tests(copy, mutant.tests)
    except subprocess.TimeoutExpired:
        return CAUGHT  # a test that never ends has noticed
    finally:
        path.write_text(right, encoding="utf-8")
    if code == TESTS_FAILED:
        return CAUGHT
    return SURVIVED if code == 0 else f"tests could not run (pytest exit code {code})"


def run_tests(copy: Path, tests: list[str]) -> int:
    """Run tests in the copy until one fails; return pytest's exit code."""
    path = os.pathsep.join([str(copy), str(copy / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False, timeout=SECONDS).returncode


if __name__ == "__main__":
    sys.exit(main())
