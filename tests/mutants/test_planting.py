"""Planting bugs: in a copy, one at a time, taken out again; caught, survived, hung and tests that could not run differ."""

import fcntl
import time
from contextlib import suppress

import pytest
from rich.console import Console

from mutants.__main__ import passes_without_bugs, report
from mutants.planted import Mutant
from mutants.planting import CAUGHT, HUNG, SURVIVED, Outcome, copy_of_checkout, plant, plant_all
from support.places import ROOT

RIGHT = "def double(number):\n    return 2 * number\n"
TESTS = """\
import fcntl
import subprocess

from doubling import double


def test_two():
    assert double(2) == 4


def test_started_programs_end_too():
    held = open("held", "w")
    fcntl.flock(held, fcntl.LOCK_EX)
    program = subprocess.Popen(["sleep", "600"], pass_fds=[held.fileno()])
    double(3)
    program.kill()
    program.wait()
    held.close()
"""
TRIPLE = Mutant("triples", "doubling.py", "2 * number", "3 * number", ["test_doubling.py"])
SQUARE = Mutant("squares", "doubling.py", "2 * number", "number * number", ["test_doubling.py::test_two"])
ENDLESS = Mutant("never ends", "doubling.py", "return 2 * number", "while number > 2: pass\n    return 4", ["test_doubling.py"])
UNKNOWN_TEST = TRIPLE._replace(name="unknown test", tests=["test_doubling.py::test_nothing"])


def is_released(path):
    """Whether a lock is released within some seconds; a program that has inherited it holds it while it runs."""
    for _ in range(200):
        with path.open() as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def copy(tmp_path):
    """A checkout of one function and its tests."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "doubling.py").write_text(RIGHT)
    (folder / "test_doubling.py").write_text(TESTS)
    return folder


def test_a_bug_that_a_test_notices_is_caught_and_the_test_is_named(copy):
    outcome = plant(copy, TRIPLE)
    assert (outcome.what, outcome.noticed_by, outcome.is_caught) == (CAUGHT, "test_doubling.py::test_two", True)


def test_a_bug_that_no_test_notices_survives(copy):
    outcome = plant(copy, SQUARE)
    assert (outcome.what, outcome.noticed_by, outcome.is_caught) == (SURVIVED, "", False)


def test_a_bug_is_taken_out_again(copy):
    for mutant in (TRIPLE, SQUARE, UNKNOWN_TEST):
        plant(copy, mutant)
        assert (copy / "doubling.py").read_text() == RIGHT


def test_tests_that_cannot_run_notice_nothing(copy):
    outcome = plant(copy, UNKNOWN_TEST)
    assert not outcome.is_caught
    assert "could not run (pytest exit code 4)" in outcome.what


def test_tests_that_do_not_end_are_ended_with_what_they_started_and_the_bug_is_caught(copy):
    outcome = plant(copy, ENDLESS, seconds=10)
    assert (outcome.what, outcome.is_caught) == (HUNG, True)
    assert is_released(copy / "held"), "the program that a test started is still running"
    assert (copy / "doubling.py").read_text() == RIGHT


def test_bugs_are_planted_in_several_copies_at_once_and_reported_in_order(copy, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name, content in (("doubling.py", RIGHT), ("test_doubling.py", TESTS)):
        (other / name).write_text(content)
    seen: list[Outcome] = []
    outcomes = plant_all([copy, other], [TRIPLE, SQUARE, TRIPLE], seen.append)
    assert [outcome.what for outcome in outcomes] == [CAUGHT, SURVIVED, CAUGHT]
    assert sorted(outcome.what for outcome in seen) == [SURVIVED, CAUGHT, CAUGHT]


def test_without_bugs_the_tests_must_pass(copy):
    console = Console(quiet=True)
    assert passes_without_bugs(copy, [TRIPLE, SQUARE], console)
    (copy / "doubling.py").write_text(RIGHT.replace("2 *", "5 *"))
    assert not passes_without_bugs(copy, [TRIPLE, SQUARE], console)


def test_a_survivor_is_named_with_its_tests_and_ends_with_1(capsys):
    console = Console(width=200)
    assert report([Outcome(TRIPLE, CAUGHT, 1.0), Outcome(ENDLESS, HUNG, 1.0)], 2.0, console) == 0
    assert "2 caught, 0 survived" in capsys.readouterr().out
    assert report([Outcome(TRIPLE, CAUGHT, 1.0), Outcome(SQUARE, SURVIVED, 1.0)], 2.0, console) == 1
    printed = capsys.readouterr().out
    assert "1 caught, 1 survived" in printed
    assert "squares" in printed
    assert "test_doubling.py::test_two" in printed
    assert "triples" not in printed


def test_a_copy_has_every_tracked_file_and_is_not_the_checkout(tmp_path):
    copy = copy_of_checkout(tmp_path / "checkout")
    assert (copy / "pricing" / "money.py").read_bytes() == (ROOT / "pricing" / "money.py").read_bytes()
    assert (copy / "tests" / "mutants" / "planted.py").is_file()
    assert not (copy / ".git").exists()
