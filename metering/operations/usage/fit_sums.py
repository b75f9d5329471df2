"""A sum never overflows, and what would make it overflow costs nothing but itself.

Looked for only after a transaction met it: a counter that is full is rare, and batches are many. Events are taken in their
order while they fit; one that repeats an event which does not fit would be counted in its place, and is refused with it.
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
    """Return the positions of the events whose day or month would leave 64 bits, in events, a quantity or nano-USD.

    Claims the identities of all events to find out what counts: the transaction is to be rolled back.
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
    """Return the repeats of what does not fit, and their repeats: a duplicate of a copy names the copy."""
    found: set[int] = set()
    of = unfit
    while of:
        ids = {dedup.first_id + position for position in of}
        of = {position for position, repeat in dedup.repeats.items() if repeat.event_id in ids} - found
        found |= of
    return found
