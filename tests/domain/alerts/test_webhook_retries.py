"""Ten attempts over a day, a little apart from each other's, and five days until an endpoint is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.alerts.webhook_retries import ATTEMPTS, next_attempt_at, should_disable
from support.builders import DAY, HOUR, NOW, SECOND

MINUTE = 60 * SECOND
AFTER_THE_FIRST = [0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]


def test_without_jitter_the_attempts_are_where_the_documentation_says():
    at = [NOW]
    while (due := next_attempt_at(len(at), at[-1], chance=0.5)) is not None:
        at.append(due)
    assert [each - NOW for each in at] == AFTER_THE_FIRST
    assert len(at) == ATTEMPTS


@given(tries=st.integers(1, ATTEMPTS - 1), chance=st.floats(0, 1))
def test_a_pause_is_a_tenth_longer_or_shorter_at_most(tries, chance):
    pause = AFTER_THE_FIRST[tries] - AFTER_THE_FIRST[tries - 1]
    due = next_attempt_at(tries, NOW, chance=chance)
    assert 0.9 * pause <= due - NOW <= 1.1 * pause


def test_after_the_tenth_attempt_there_is_none_even_if_the_receiver_asks_for_one():
    assert next_attempt_at(ATTEMPTS, NOW, chance=0.5) is None
    assert next_attempt_at(ATTEMPTS, NOW, chance=0.5, retry_after=HOUR) is None


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(0, 5 * SECOND), (3 * SECOND, 5 * SECOND), (90 * SECOND, 90 * SECOND), (DAY, DAY), (400 * DAY, DAY)],
)
def test_a_receiver_that_asks_for_patience_gets_it_up_to_a_day(asked, pause):
    assert next_attempt_at(1, NOW, chance=0.5, retry_after=asked) == NOW + pause


def test_an_endpoint_is_given_up_after_five_days_and_not_before():
    assert not should_disable(NOW, NOW + 5 * DAY - 1)
    assert should_disable(NOW, NOW + 5 * DAY)
