"""Settle the records that ingest could not store as new events: in a second transaction, after the new events.

A record of another request that happens to have a taken ID is stored after that, under its own identity.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from metering.domain.usage.batch_events import BatchEvent, BatchEvents
from metering.domain.usage.outcomes import BatchResult, ItemOutcome, Outcome
from metering.operations.steps.charged_batch import ChargedBatch
from metering.operations.usage.settle_repeats import SeriesMissingError
from metering.operations.usage.store_events import StoredEvents, count_warnings, owners_of, store_events
from metering.operations.usage.store_settled import SettlingTools, store_settled
from metering.storage.engine.database import concurrent_write, exclusive_write
from metering.storage.engine.errors import SumTooLargeError

# Another process can change an event between two attempts; one attempt is enough unless it does.
_ATTEMPTS = 5
_SUM_FULL = "adding it would make the sum of its day or month exceed 64 bits"


class SettledPart(NamedTuple):
    """What settling records did: the events that no longer count, and records of other requests, by position."""

    replaced: list[int]
    others: dict[int, BatchEvent]


class Settler:
    """Settles records of one database."""

    def __init__(self, engine: Engine, tools: SettlingTools) -> None:
        self._engine = engine
        self._tools = tools

    def settle(
        self,
        batches: Sequence[tuple[ChargedBatch, BatchResult]],
        stored: StoredEvents,
        now: int,
        *,
        identities_are_final: bool = False,
    ) -> None:
        """Settle what ``store_events`` left, and store records that turn out to be of other requests."""
        charged, owners = ChargedBatch.joined([part for part, _ in batches]), owners_of(batches)
        unsettled = charged.only(stored.unsettled)
        of_unsettled = [owners[position] for position in stored.unsettled]
        settled = self._settle_all(unsettled, of_unsettled, now, identities_are_final=identities_are_final)
        # An event that was accepted just now and has been completed since needs no attention.
        for event_id in settled.replaced:
            position = event_id - stored.first_id
            if 0 <= position < len(owners):
                count_warnings(charged.contexts[position], charged.charges[position], owners[position], by=-1)
        if settled.others:
            others = [
                (_under_own_identity(unsettled, position, event), of_unsettled[position])
                for position, event in sorted(settled.others.items())
            ]
            with concurrent_write(self._engine) as connection:
                stored = store_events(connection, others, now)
            if stored.unsettled:
                self.settle(others, stored, now, identities_are_final=True)

    def _settle_all(
        self, charged: ChargedBatch, owners: Sequence[BatchResult], now: int, *, identities_are_final: bool
    ) -> SettledPart:
        """Settle records in one transaction; if a sum would overflow, in halves, so that only what does not fit is rejected."""
        try:
            return self._settle_once(charged, owners, now, identities_are_final=identities_are_final)
        except SumTooLargeError:
            half = len(owners) // 2
            if half == 0:
                line, event_id = charged.events.lines[0], charged.events.ids[0]
                owners[0].add(ItemOutcome(line, Outcome.REJECTED, SumTooLargeError.code, _SUM_FULL, event_id, "usage"))
                return SettledPart([], {})
            whole = SettledPart([], {})
            for start, end in ((0, half), (half, len(owners))):
                part = charged.only(range(start, end))
                found = self._settle_all(part, owners[start:end], now, identities_are_final=identities_are_final)
                whole.replaced.extend(found.replaced)
                whole.others.update({start + position: event for position, event in found.others.items()})
            return whole

    def _settle_once(
        self, charged: ChargedBatch, owners: Sequence[BatchResult], now: int, *, identities_are_final: bool
    ) -> SettledPart:
        for _ in range(_ATTEMPTS):
            try:
                with exclusive_write(self._engine) as connection:
                    settled = store_settled(connection, charged, self._tools, now, identities_are_final=identities_are_final)
            except SeriesMissingError as missing:
                # Series are created in separate transactions. Another process can change an event in between, so that it
                # needs yet another series.
                self._tools.contexts.prepare_series(missing.keys)
                continue
            settled.count(charged, owners)
            return SettledPart(settled.replaced, settled.others)
        raise RuntimeError(f"events changed during each of {_ATTEMPTS} attempts to settle their records")


def _under_own_identity(charged: ChargedBatch, position: int, event: BatchEvent) -> ChargedBatch:
    return ChargedBatch(BatchEvents.of([event]), [charged.contexts[position]], [charged.charges[position]])
