"""Values in messages are written as in their source."""

from decimal import Decimal

import pytest

from pricing.excerpt import excerpt


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.50"), "1.50"),
        (True, "true"),
        (None, "null"),
        ("x", "'x'"),
        ([1, Decimal("0.5"), None], "[1, 0.5, null]"),
        (("a", 2), "['a', 2]"),
        ({"price": Decimal(1), "free": False}, "{'price': 1, 'free': false}"),
        ([[[[1]]]], "[[...]]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
        ("y" * 70, "'" + "y" * 56 + "..."),
    ],
)
def test_a_value_is_short_and_written_as_in_its_source(value, text):
    assert excerpt(value) == text
