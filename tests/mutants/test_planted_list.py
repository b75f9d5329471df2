"""The list of planted bugs is current: each can be planted, and its tests exist. ``make mutants`` plants them."""

from mutants.planted import planted
from support.places import ROOT


def test_every_planted_bug_still_fits_its_file():
    for mutant in planted():
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert mutant.applied_to(text) != text


def test_every_planted_bug_names_tests_that_exist():
    missing = [test for mutant in planted() for test in mutant.tests if not (ROOT / test.partition("::")[0]).exists()]
    assert missing == []


def test_no_two_planted_bugs_have_one_name():
    names = [mutant.name for mutant in planted()]
    assert sorted(set(names)) == sorted(names)
