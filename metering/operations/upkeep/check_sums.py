"""Sums agree: rollups with the ledger, and spend with events and their charges.

Both are compared in slices of time, each found by an index, so that memory stays bounded.
"""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection

from metering.domain.charges.ledger_sums import NO_EVENTS, NO_SUMS, SUM_NAMES, EventsAndAmount, LedgerSums, RollupKey
from metering.domain.charges.spend import SpendQuery
from metering.domain.instants import date_of, first_day, format_month, month_of_day, month_start, next_month
from metering.domain.violations import Violation
from metering.operations.charges.sum_spend import sums_by_group
from metering.storage.charges.ledger import (
    days_with_entries,
    entry_sums_by_account,
    ledger_sums,
    month_sums,
    month_sums_of_days,
    months_with_rollups,
    rollup_sums,
)
from metering.storage.usage.retired_months import retired_days, retired_sums, retired_sums_by_account

Step = Callable[[int, int], None]
"""Called with how much of a check is done, and the total."""


def rollups_match_ledger(connection: Connection, step: Step) -> Iterator[Violation]:
    """Every rollup is the sum of the ledger's entries with its key, in every column, and every sum has a rollup.

    Retired events count as they were when they were retired.
    """
    days = sorted({*days_with_entries(connection), *retired_days(connection)})
    for done, day in enumerate(days):
        yield from rollups_of_day_match_ledger(connection, day)
        step(done + 1, len(days))


def rollups_of_day_match_ledger(connection: Connection, day: int) -> Iterator[Violation]:
    """The rollups of one day (since 1970) match the ledger."""
    stored = rollup_sums(connection, day)
    recomputed = ledger_sums(connection, day)
    for key, sums in retired_sums(connection, day).items():
        recomputed[key] = recomputed.get(key, NO_SUMS).plus(sums)
    for key in sorted(stored.keys() | recomputed.keys()):
        yield from _differences(key, recomputed.get(key, NO_SUMS), stored.get(key, NO_SUMS))


def months_match_days(connection: Connection, step: Step) -> Iterator[Violation]:
    """Every monthly rollup is the sum of the daily rollups with its key, and every sum has one."""
    months = months_with_rollups(connection)
    for done, month in enumerate(months):
        stored, recomputed = month_sums(connection, month), month_sums_of_days(connection, month)
        for key in sorted(stored.keys() | recomputed.keys()):
            expected, got = recomputed.get(key, NO_SUMS), stored.get(key, NO_SUMS)
            if expected != got:
                where = ", ".join(f"{column} {value}" for column, value in key._asdict().items())
                message = f"a series' rollup of {format_month(month)} is not the sum of its days"
                yield Violation("month_rollup_differs", where, *_where_they_differ(expected, got), message)
        step(done + 1, len(months))


def spend_matches_events(connection: Connection, step: Step) -> Iterator[Violation]:
    """The spend of an account in a month, by event time, is the sum of its events and charges."""
    months = sorted({month_of_day(day) for day in days_with_entries(connection)})
    for done, month in enumerate(months):
        start, end = month_start(month), month_start(next_month(month))
        answered = {
            account_id: EventsAndAmount(sums.events, sums.amount_nano)
            for (_, (account_id,)), sums in sums_by_group(connection, SpendQuery(start, end, group_by=("account",))).items()
        }
        facts = entry_sums_by_account(connection, start, end)
        for account_id, sums in retired_sums_by_account(connection, first_day(month), first_day(next_month(month))).items():
            facts[account_id] = facts.get(account_id, NO_EVENTS).plus(*sums)
        for account_id in sorted(answered.keys() | facts.keys()):
            expected, got = facts.get(account_id, NO_EVENTS), answered.get(account_id, NO_EVENTS)
            if expected != got:
                where = f"account {account_id}, {format_month(month)}"
                message = f"spend of {where} is not the sum of its events"
                yield Violation("spend_differs", where, _in_words(expected), _in_words(got), message)
        step(done + 1, len(months))


def _in_words(sums: EventsAndAmount) -> str:
    return f"events {sums.events}, amount_nano {sums.amount_nano}"


def _where_they_differ(expected: LedgerSums, got: LedgerSums) -> tuple[str, str]:
    """Return the sums that differ, in words."""
    names = [name for name, a, b in zip(SUM_NAMES, expected.values, got.values, strict=True) if a != b]
    first, second = (dict(zip(SUM_NAMES, sums.values, strict=True)) for sums in (expected, got))
    return ", ".join(f"{name} {first[name]}" for name in names), ", ".join(f"{name} {second[name]}" for name in names)


def _differences(key: RollupKey, recomputed: LedgerSums, stored: LedgerSums) -> Iterator[Violation]:
    for name, expected, got in zip(SUM_NAMES, recomputed.values, stored.values, strict=True):
        if expected != got:
            day = date_of(key.event_day)
            where = ", ".join(f"{column} {value}" for column, value in key._asdict().items())
            message = f"the {name} of the rollup of series {key.series_id} on {day} is not the sum of its events"
            yield Violation("rollup_differs", where, str(expected), str(got), message)
