"""A sync is due when the last attempt is old enough, and less and less often after failures."""

import pytest

from metering.domain.prices.price_syncs import SourceHealth
from metering.operations.prices.sync_settings import is_sync_due
from support.builders import NOW

MINUTE = 60 * 1_000_000
DAY_MINUTES = 24 * 60


def health(minutes_ago, failures=0):
    at = None if minutes_ago is None else NOW - minutes_ago * MINUTE
    return SourceHealth(at, at, at, failures, "", None)


def test_a_first_sync_is_due_at_once():
    assert is_sync_due(health(None), 60, NOW)


def test_a_sync_is_due_exactly_when_the_interval_is_over():
    assert is_sync_due(health(60), 60, NOW)
    assert not is_sync_due(health(60), 60, NOW - 1)
    assert is_sync_due(health(10_000), 60, NOW)


def test_with_an_interval_of_zero_no_sync_is_due():
    assert not is_sync_due(health(None), 0, NOW)
    assert not is_sync_due(health(100_000), 0, NOW)


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (9, 1_280), (10, DAY_MINUTES), (11, DAY_MINUTES), (10**9, DAY_MINUTES)],
)
def test_after_failures_the_wait_is_five_minutes_doubled_each_time_up_to_a_day(failures, minutes):
    assert is_sync_due(health(minutes, failures), 60, NOW)
    assert not is_sync_due(health(minutes, failures), 60, NOW - 1)


def test_a_retry_waits_at_least_a_short_interval_and_the_limit_never_shortens_a_long_one():
    assert is_sync_due(health(2, failures=1), 2, NOW)
    assert not is_sync_due(health(1, failures=1), 2, NOW)
    week = 7 * DAY_MINUTES
    assert not is_sync_due(health(week - 1, failures=20), week, NOW)
    assert is_sync_due(health(week, failures=20), week, NOW)


def test_an_attempt_in_the_future_is_ignored():
    assert is_sync_due(health(-100_000), 60, NOW)
    assert is_sync_due(health(-1, failures=3), 60, NOW)
