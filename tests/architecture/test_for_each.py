"""A test over a table reports every row that fails, and no other."""

import inspect

import pytest

from support.for_each import for_each


def test_every_row_that_fails_is_reported_and_no_other():
    seen = []

    @for_each("number, name", [(1, "one"), (2, "two"), (3, "three")])
    def claim(fixture, number, name):
        seen.append((fixture, number, name))
        assert number == 2

    with pytest.raises(ExceptionGroup, match="2 of 3 rows fail") as failed:
        claim(fixture="f")
    assert failed.value.message.splitlines()[1:] == ["  number=1, name='one'", "  number=3, name='three'"]
    assert [each.__notes__ for each in failed.value.exceptions] == [
        ["with number=1, name='one'"],
        ["with number=3, name='three'"],
    ]
    assert seen == [("f", 1, "one"), ("f", 2, "two"), ("f", 3, "three")]


def test_errors_fail_as_failed_assertions_do():
    @for_each("text", ["1", "x"])
    def claim(text):
        int(text)

    with pytest.raises(ExceptionGroup, match="1 of 2 rows fail"):
        claim()


def test_tables_multiply():
    seen = []

    @for_each("left", "ab")
    @for_each("right", (1, 2))
    def claim(left, right):
        seen.append((left, right))

    claim()
    assert seen == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


def test_an_empty_table_proves_nothing():
    @for_each("row", [])
    def claim(row):
        pass

    with pytest.raises(AssertionError, match="no rows for row"):
        claim()


def test_only_fixtures_are_asked_of_pytest():
    @for_each("row", [1])
    def claim(api, row, meter):
        pass

    assert list(inspect.signature(claim).parameters) == ["api", "meter"]
