"""The number of series of an account is bounded, and folding keeps account, provider and route."""

from hypothesis import given
from hypothesis import strategies as st

from metering.domain.usage.series import OTHER, SeriesKey, fold_series

KEY = SeriesKey(7, "together", "llama", "chat", "routed", "search", "k1", '{"team":"core"}')


def test_within_the_cap_a_series_is_not_folded():
    assert fold_series(KEY, 9, 10) == KEY


def test_past_the_cap_dimensions_that_callers_choose_are_folded():
    assert fold_series(KEY, 10, 10) == KEY._replace(project=OTHER, key=OTHER, tags=OTHER)
    assert fold_series(KEY, 19, 10) == fold_series(KEY, 10, 10)


def test_past_twice_the_cap_the_model_is_folded_too():
    assert fold_series(KEY, 20, 10) == SeriesKey(7, "together", OTHER, OTHER, "routed", OTHER, OTHER, OTHER)


@given(st.integers(0, 100), st.integers(1, 20))
def test_an_account_a_provider_and_a_route_are_never_folded(existing, cap):
    place = fold_series(KEY, existing, cap)
    assert (place.account_id, place.provider, place.route) == (KEY.account_id, KEY.provider, KEY.route)


def test_folding_again_changes_nothing():
    assert fold_series(fold_series(KEY, 10, 10), 10, 10) == fold_series(KEY, 10, 10)
