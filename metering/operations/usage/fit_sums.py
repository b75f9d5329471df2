"""Find the events that would overflow a sum, so that only those are rejected.

Runs only after a transaction has failed on an overflow, because full counters are rare and batches are many. Events are added
in order while they fit. A repeat of an event that does not fit would be counted in its place, so it is rejected too.
"""

from operator import add

from msgspec.structs import astuple
from sqlalchemy import Connection

from metering.domain.instants import MICROS_PER_DAY
from metering.operations.steps.charged_batch import ChargedBatch
from metering.operations.steps.lock_open_months import lock_open_months
from metering.operations.steps.roll_up import RollupKey, rollup_keys
from metering.operations.usage.deduplicate import Deduplication, deduplicate
from metering.storage.usage.events import MAX_SUM, month_key_of, month_rollups_with_keys, rollups_with_keys

_Sums = dict[RollupKey, tuple[int, ...]]


def events_that_do_not_fit(connection: Connection, charged: ChargedBatch, now: int) -> set[int]:
    """Return the positions of the events that would make a daily or monthly sum exceed 64 bits.

    Claims the identities of all events to find out which count, so the caller must roll the transaction back.
    """
    closed = lock_open_months(connection, {context.account_id for context in charged.contexts}, now=now)
    dedup = deduplicate(connection, charged.events, charged.contexts)
    days = [time // MICROS_PER_DAY for time in charged.events.times]
    months = closed.billed_months([context.account_id for context in charged.contexts], days)
    keys: dict[int, RollupKey] = {
        position: key for position, key in enumerate(rollup_keys(charged, days, months)) if position not in dedup.repeats
    }
    of_days = rollups_with_keys(connection, set(keys.values()))
    of_months = month_rollups_with_keys(connection, {month_key_of(key) for key in keys.values()})
    unfit = set()
    for position, key in keys.items():
        entry = (1, *astuple(charged.events.quantities_at(position)), charged.charges[position].amount_nano or 0)
        month_key = month_key_of(key)
        of_day, of_month = _added(of_days, key, entry), _added(of_months, month_key, entry)
        if max(*of_day, *of_month) > MAX_SUM:
            unfit.add(position)
        else:
            of_days[key], of_months[month_key] = of_day, of_month
    return unfit | _repeats_of(unfit, dedup)


def _added(sums: _Sums, key: RollupKey, entry: tuple[int, ...]) -> tuple[int, ...]:
    before = sums.get(key)
    return entry if before is None else tuple(map(add, before, entry))


def _repeats_of(unfit: set[int], dedup: Deduplication) -> set[int]:
    """Return the repeats of the events that do not fit, and repeats of those: a duplicate of a copy refers to the copy."""
    repeats: set[int] = set()
    originals = unfit
    while originals:
        ids = {dedup.first_id + position for position in originals}
        originals = {position for position, repeat in dedup.repeats.items() if repeat.event_id in ids} - repeats
        repeats |= originals
    return repeats
