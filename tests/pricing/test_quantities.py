"""Quantities are disjoint, whole and bounded."""

from decimal import Decimal

import pytest
from msgspec.structs import astuple

from pricing.errors import InvalidQuantityError
from pricing.quantities import (
    ALL_KINDS,
    MAX_QUANTITY,
    OUTPUT_KINDS,
    PRICED_KINDS,
    PROMPT_KINDS,
    UNIT_OF,
    Quantities,
    check_count,
    checked_quantities,
    picker,
)


def test_a_cached_token_is_part_of_the_prompt_once():
    used = checked_quantities(
        input_tokens=400, cache_read_tokens=600, cache_write_tokens=50, cache_write_1h_tokens=7, output_tokens=200
    )
    assert used.prompt_tokens == 1057


def test_input_audio_and_image_tokens_are_part_of_the_prompt_and_output_ones_are_not():
    used = checked_quantities(input_audio_tokens=3, input_image_tokens=4, output_audio_tokens=100, output_image_tokens=100)
    assert used.prompt_tokens == 7


def test_reasoning_is_a_memo_and_has_no_price():
    assert set(ALL_KINDS) - set(PRICED_KINDS) == {"reasoning_tokens"}


def test_every_kind_that_can_have_a_price_is_sent_or_produced():
    assert set(PROMPT_KINDS) | set(OUTPUT_KINDS) == set(PRICED_KINDS)
    assert not set(PROMPT_KINDS) & set(OUTPUT_KINDS)


def test_amounts_are_in_the_order_of_their_kinds():
    counts = {kind: position + 1 for position, kind in enumerate(ALL_KINDS)}
    assert astuple(Quantities(**counts)) == tuple(range(1, len(ALL_KINDS) + 1))


@pytest.mark.parametrize("kinds", [(), ("images",), ("output_tokens", "input_tokens"), ALL_KINDS])
def test_a_picker_picks_amounts_by_the_names_of_their_kinds(kinds):
    counts = {kind: position + 1 for position, kind in enumerate(ALL_KINDS)}
    assert picker(kinds)(astuple(Quantities(**counts))) == tuple(counts[kind] for kind in kinds)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_name_of_a_kind_ends_with_its_unit(kind):
    endings = {
        "token": "_tokens", "ms": "_ms", "image": "images", "megapixel": "megapixels", "character": "characters",
        "unit": "_units",
    }  # fmt: skip
    assert kind.endswith(endings[UNIT_OF[kind]])


@pytest.mark.parametrize("kind", OUTPUT_KINDS)
def test_each_kind_of_output_counts_as_output(kind):
    assert Quantities(**{kind: 1}).has_output


def test_a_prompt_is_not_output():
    assert not Quantities(input_tokens=5, cache_read_tokens=5, input_audio_tokens=1, input_image_tokens=1).has_output


@pytest.mark.parametrize("count", [0, 1, MAX_QUANTITY])
def test_counts_up_to_the_limit_are_accepted(count):
    assert checked_quantities(images=count).images == count


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (-1, "input_tokens must not be negative, got -1"),
        (1_000_000_001, "input_tokens must be at most 1000000000, got 1000000001"),
        (1.5, "input_tokens must be a whole number, got 1.5"),
        (1.0, "input_tokens must be a whole number, got 1.0"),
        (float("nan"), "input_tokens must be a whole number, got nan"),
        (True, "input_tokens must be a whole number, got true"),
        (Decimal("1.5"), "input_tokens must be a whole number, got 1.5"),
        ([1, {"a": Decimal(2)}], "input_tokens must be a whole number, got [1, {'a': 2}]"),
        ("12", "input_tokens must be a whole number, got '12'"),
        (None, "input_tokens must be a whole number, got null"),
    ],
)
def test_an_invalid_count_is_refused_with_its_name_and_value(count, reason):
    with pytest.raises(InvalidQuantityError) as refused:
        checked_quantities(input_tokens=count)
    assert str(refused.value) == reason
    assert refused.value.code == "invalid_quantity"


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(InvalidQuantityError) as refused:
        check_count("images", "x" * 1000)
    assert len(str(refused.value)) < 100


def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidQuantityError, match="promptTokens is not a kind of quantity"):
        checked_quantities(promptTokens=1)


def test_reasoning_cannot_exceed_the_output_that_includes_it():
    assert checked_quantities(output_tokens=200, reasoning_tokens=200).reasoning_tokens == 200
    with pytest.raises(InvalidQuantityError, match="reasoning_tokens 201 exceeds output_tokens 200"):
        checked_quantities(output_tokens=200, reasoning_tokens=201)
