"""The list of planted bugs is current: each can be planted, and its tests exist. ``make mutants`` plants them."""

import ast

from mutants.planted import planted
from support.places import ROOT

FLOORS = (
    "pricing", "metering/answers", "metering/api", "metering/domain", "metering/exports", "metering/formats",
    "metering/invoices", "metering/operations", "metering/outbound", "metering/runtime", "metering/storage", "metering/web",
)  # fmt: skip


def test_every_planted_bug_still_fits_its_file():
    for mutant in planted():
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert mutant.applied_to(text) != text


def test_every_planted_bug_is_valid_python():
    for mutant in planted():
        ast.parse(mutant.applied_to((ROOT / mutant.file).read_text(encoding="utf-8")))


def test_every_planted_bug_names_tests_that_exist():
    for mutant in planted():
        assert mutant.tests, mutant.name
        for test in mutant.tests:
            file, _, name = test.partition("::")
            assert (ROOT / file).is_file(), test
            assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(encoding="utf-8"), test


def test_no_two_planted_bugs_have_one_name():
    names = [mutant.name for mutant in planted()]
    assert sorted(set(names)) == sorted(names)


def test_every_floor_has_planted_bugs():
    files = [mutant.file for mutant in planted()]
    assert [floor for floor in FLOORS if not any(file.startswith(f"{floor}/") for file in files)] == []
