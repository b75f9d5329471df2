"""Plant bugs in copies of the checkout, run the tests that must notice them, and take the bugs out again.

A bug is caught when a test fails or never ends, not when the tests cannot run.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

from mutants.planted import Mutant
from support.places import ROOT

CAUGHT = "caught"
HUNG = "caught: the tests did not end"
SURVIVED = "SURVIVED"

TESTS_FAILED = 1
SECONDS = 120
"""How long the tests of one bug may take. They take a few seconds, unless the bug keeps them from ending."""
_SECONDS_TO_END = 20
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Outcome(NamedTuple):
    """What became of one bug, after how many seconds; ``noticed_by`` is the test that failed."""

    mutant: Mutant
    what: str
    seconds: float
    noticed_by: str = ""

    @property
    def is_caught(self) -> bool:
        """Whether the tests noticed the bug."""
        return self.what in (CAUGHT, HUNG)


def copy_of_checkout(target: Path) -> Path:
    """Copy every tracked file into a new folder."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def plant_all(copies: Sequence[Path], mutants: Iterable[Mutant], on_outcome: Callable[[Outcome], None]) -> list[Outcome]:
    """Plant the bugs, one at a time in each copy; return the outcomes in the order of the bugs."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def plant_in_a_free_copy(mutant: Mutant) -> Outcome:
        copy = free.get()
        try:
            outcome = plant(copy, mutant)
        finally:
            free.put(copy)
        on_outcome(outcome)
        return outcome

    with ThreadPoolExecutor(len(copies)) as threads:
        return list(threads.map(plant_in_a_free_copy, mutants))


def plant(copy: Path, mutant: Mutant, *, seconds: float = SECONDS) -> Outcome:
    """Plant one bug in the copy, run its tests, and take it out again."""
    started = monotonic()
    path = copy / mutant.file
    right = path.read_bytes()
    path.write_text(mutant.applied_to(right.decode()), encoding="utf-8")
    try:
        code, said = run_tests(copy, mutant.tests, seconds=seconds)
    finally:
        path.write_bytes(right)
    failed = _FAILED.search(said)
    return Outcome(mutant, _meaning_of(code, said), monotonic() - started, failed.group(1) if failed else "")


def run_tests(copy: Path, tests: Sequence[str], *, seconds: float) -> tuple[int | None, str]:
    """Run tests in the copy until one fails; return pytest's exit code, None if it did not end in time, and its last words."""
    path = os.pathsep.join([str(copy), str(copy / "tests")])
    # No test uses a plugin of pytest's, and loading them takes as long as most of these tests.
    settings = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    output = copy.with_name(f"{copy.name}.output")
    with output.open("wb") as file:
        # A file, not a pipe: programs that the tests started could keep a pipe open after pytest was killed.
        process = subprocess.Popen(
            command, cwd=copy, env=os.environ | settings, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    return code, output.read_text(encoding="utf-8", errors="replace")[-2_000:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the tests and what they started: first with an interrupt, after which they stop their database server."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _meaning_of(code: int | None, said: str) -> str:
    if code is None:
        return HUNG
    if code == TESTS_FAILED:
        return CAUGHT
    return SURVIVED if code == 0 else f"the tests could not run (pytest exit code {code}): {said}"
