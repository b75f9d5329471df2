"""Counters of a stream never fall: the largest statement counts, in any order of the chunks."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metering.formats.usage_merging import merge_usage


def merged(*statements):
    total: dict[str, Any] = {}
    for statement in statements:
        total = merge_usage(total, statement)
    return total


def test_a_closing_zero_takes_nothing_away():
    running = {"prompt_tokens": 40, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 10}}
    closing = {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0},
        "cost": Decimal("0.1"),
    }
    assert merged(running, closing) == {**running, "cost": Decimal("0.1")}


def test_null_takes_nothing_away_and_details_are_merged_by_counter():
    first = {"prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": None}, "service_tier": None}
    second = {"prompt_tokens_details": {"cached_tokens": None, "audio_tokens": 4}, "service_tier": "flex"}
    assert merged(first, second) == {"prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 4}, "service_tier": "flex"}
    assert merged({"prompt_tokens_details": {"cached_tokens": 10}}, {"prompt_tokens_details": None}) == {
        "prompt_tokens_details": {"cached_tokens": 10}
    }


scalars = st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
names = st.sampled_from("abc")
statements = st.dictionaries(names, scalars | st.dictionaries(names, scalars))


def comparable(value):
    """Return a value that equals itself, even if it contains NaN."""
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items()}
    return str(value) if isinstance(value, Decimal) and not value.is_finite() else value


@given(st.lists(statements, max_size=4), st.randoms())
def test_the_order_of_chunks_does_not_matter(chunks, random):
    shuffled = list(chunks)
    random.shuffle(shuffled)
    assert comparable(merged(*shuffled)) == comparable(merged(*chunks))
