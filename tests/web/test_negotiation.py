"""Which representation an Accept header gets (RFC 9110, section 12.5.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.web.negotiation import negotiate
from metering.web.problems import ApiProblem

OFFERS = ("application/json", "text/csv")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("*/*;q=0.1, text/csv;q=0.2", "text/csv"),
        ("text/*;q=0.3, text/csv;q=0.1, application/json;q=0.2", "application/json"),
        ("text/csv;Q=1.0;header=present", "text/csv"),
        ("text/csv ; q=0.5 , application/json ; q=0.4", "text/csv"),
        ("text/csv;q=0.001, text/html", "text/csv"),
        ("application/json;q=nonsense, text/csv;q=0.1", "text/csv"),
        ("application/json;q=2, text/csv;q=0.1", "text/csv"),
        ("application/json;q=NaN, text/csv;q=0.1", "text/csv"),
        (", ,text/csv,", "text/csv"),
    ],
)
def test_the_highest_quality_wins_and_the_most_specific_range_sets_it(accept, expected):
    assert negotiate(accept, OFFERS) == expected


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "*/*;q=0", "json", "text", "/", ";;", "text/*;q=0, image/*"])
def test_a_representation_that_is_not_offered_is_refused(accept):
    with pytest.raises(ApiProblem) as caught:
        negotiate(accept, OFFERS)
    assert caught.value.code == "not_acceptable"


@given(st.text(max_size=40))
def test_any_header_is_answered(accept):
    try:
        assert negotiate(accept, OFFERS) in OFFERS
    except ApiProblem as problem:
        assert problem.code == "not_acceptable"
