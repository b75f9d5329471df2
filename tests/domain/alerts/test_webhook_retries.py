"""Ten attempts over a day, with jitter, and five days until an endpoint is disabled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.alerts.webhook_retries import ATTEMPTS, next_attempt_at, should_disable
from support.builders import DAY, HOUR, NOW, SECOND
from support.presence import present

MINUTE = 60 * SECOND
AFTER_THE_FIRST = [0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]


def test_without_jitter_attempts_follow_the_documented_schedule():
    at = [NOW]
    while (due := next_attempt_at(len(at), at[-1], chance=0.5)) is not None:
        at.append(due)
    assert [each - NOW for each in at] == AFTER_THE_FIRST
    assert len(at) == ATTEMPTS


@given(tries=st.integers(1, ATTEMPTS - 1), chance=st.floats(0, 1))
def test_jitter_changes_a_pause_by_at_most_a_tenth(tries, chance):
    pause = AFTER_THE_FIRST[tries] - AFTER_THE_FIRST[tries - 1]
    due = present(next_attempt_at(tries, NOW, chance=chance))
    assert 0.9 * pause <= due - NOW <= 1.1 * pause


def test_the_tenth_attempt_is_the_last_even_with_retry_after():
    assert next_attempt_at(ATTEMPTS, NOW, chance=0.5) is None
    assert next_attempt_at(ATTEMPTS, NOW, chance=0.5, retry_after=HOUR) is None


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(0, 5 * SECOND), (3 * SECOND, 5 * SECOND), (90 * SECOND, 90 * SECOND), (DAY, DAY), (400 * DAY, DAY)],
)
def test_retry_after_extends_a_pause_up_to_a_day(retry_after, pause):
    assert next_attempt_at(1, NOW, chance=0.5, retry_after=retry_after) == NOW + pause


def test_an_endpoint_is_disabled_after_five_days_and_not_before():
    assert not should_disable(NOW, NOW + 5 * DAY - 1)
    assert should_disable(NOW, NOW + 5 * DAY)
