"""A price list that changes too much at once has to be accepted, with the reasons."""

import pytest

from pricing.changes import PriceChange
from pricing.errors import InvalidPriceError
from pricing.guards import GuardLimits, count_models, reasons_to_hold
from pricing.rates import Price


def change(before, after, model="llama", quantity="input_tokens", provider="together"):
    sides = [None if pico is None else Price(pico) for pico in (before, after)]
    return PriceChange(provider, model, "", 0, quantity, *sides)


def changes(count, before=10, after=11):
    return [change(before, after, f"model-{i}") for i in range(count)]


def codes(listed, models_before=100, **limits):
    return [reason.code for reason in reasons_to_hold(listed, models_before, GuardLimits(**limits))]


def test_a_list_with_no_or_few_changes_passes():
    assert reasons_to_hold([], 100) == ()
    assert reasons_to_hold(changes(3), 100) == ()


@pytest.mark.parametrize(("count", "expected"), [(25, []), (26, ["too_many_changed"])])
def test_up_to_a_quarter_of_the_models_may_change_at_once(count, expected):
    assert codes(changes(count)) == expected


def test_the_percentage_is_of_models_not_of_prices():
    both = [change(10, 11, f"m-{i}", quantity) for i in range(25) for quantity in ("input_tokens", "output_tokens")]
    assert codes(both) == []
    assert codes([change(10, 11, "m", provider=f"p-{i}") for i in range(26)]) == ["too_many_changed"]


def test_the_percentage_is_exact_for_any_number_of_models():
    assert codes(changes(2), models_before=7, changed_percent=29) == []  # 28.57 %
    assert codes(changes(2), models_before=7, changed_percent=28) == ["too_many_changed"]


@pytest.mark.parametrize(("count", "expected"), [(10, []), (11, ["too_many_vanished"])])
def test_up_to_a_tenth_of_the_models_may_lose_a_price(count, expected):
    assert codes(changes(count, after=None)) == expected


def test_models_that_lose_a_price_count_as_changed_too():
    assert codes(changes(26, after=None)) == ["too_many_changed", "too_many_vanished"]
    assert codes(changes(100, after=None), changed_percent=100, vanished_percent=100) == []


@pytest.mark.parametrize(
    ("before", "after", "jumps"),
    [(10, 100, False), (10, 101, True), (100, 10, False), (101, 10, True), (10, 1, False), (0, 1, True), (1, 0, True)],
)
def test_one_price_may_change_tenfold_but_not_from_or_to_zero(before, after, jumps):
    assert codes([change(before, after)]) == (["price_jump"] if jumps else [])


def test_a_price_per_a_different_block_is_not_a_jump():
    same = PriceChange("groq", "whisper", "", 0, "audio_ms", Price(10, 1_000), Price(37_000, 3_600_000))
    assert codes([same]) == []


def test_each_limit_can_be_set():
    assert codes(changes(1), changed_percent=0) == ["too_many_changed"]
    assert codes(changes(1, after=None), vanished_percent=0) == ["too_many_vanished"]
    assert codes([change(10, 21)], price_factor=2) == ["price_jump"]
    assert codes([change(10, 10_000)], price_factor=1_000) == []


def test_new_models_always_pass():
    assert codes([change(None, 10**9, f"model-{i}") for i in range(500)]) == []


def test_the_first_list_always_passes():
    assert reasons_to_hold(changes(500, before=1, after=1_000), 0) == ()


def test_the_reasons_have_the_change_and_the_limit():
    listed = [*changes(30), *[change(10, None, f"gone-{i}") for i in range(20)], change(880_000, 880_000_000)]
    assert [reason.message for reason in reasons_to_hold(listed, 100)] == [
        "the prices of 51 of 100 models would change, more than 25 %",
        "20 of 100 models would lose a price, more than 10 %",
        "together llama: input_tokens would change from 0.88 USD per million to 880 USD per million, more than 10-fold",
    ]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"changed_percent": -1}, "changed_percent must be between 0 and 100, got -1"),
        ({"vanished_percent": 101}, "vanished_percent must be between 0 and 100, got 101"),
        ({"price_factor": 0}, "price_factor must be at least 1, got 0"),
    ],
)
def test_impossible_limits_are_refused(limits, message):
    with pytest.raises(InvalidPriceError, match=message):
        GuardLimits(**limits)


def test_models_are_counted_once_per_provider():
    keys = [
        ("together", "llama", "", 0, "input_tokens"),
        ("together", "llama", "", 9, "output_tokens"),
        ("novita", "llama", "", 0, "x"),
    ]
    assert count_models(keys) == 2


def test_a_price_that_becomes_0_without_being_called_free_is_held_even_if_it_is_the_only_one():
    lost = [change(10, None, "llama"), change(10, None, "llama", "output_tokens"), change(None, 5, "new")]
    held = reasons_to_hold(lost, 100, listed_at_zero={"together llama", "together new", "novita llama"})
    assert [(reason.code, reason.message) for reason in held] == [
        ("zero_price", "together llama: a price would become 0 without is_free, so the model would have no price")
    ]
    # A model that never had a price, or whose price only changes, is not held for a 0 elsewhere in its entry.
    assert (
        reasons_to_hold([change(None, 5, "new"), change(10, 11)], 100, listed_at_zero={"together new", "together llama"}) == ()
    )
