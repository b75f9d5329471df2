"""Store what settling decided: completed events with the reversals of those they replace, and conflicts."""

from collections.abc import Sequence
from itertools import compress
from operator import not_

from msgspec import Struct
from sqlalchemy import Connection

from metering.domain.usage.batch_events import BatchEvent
from metering.domain.usage.outcomes import BatchResult, Outcome
from metering.operations.steps.add_to_sums import add_to_sums
from metering.operations.steps.charged_batch import ChargedBatch
from metering.operations.steps.current_events import CurrentEvent
from metering.operations.steps.event_contexts import ContextCache
from metering.operations.steps.lock_open_months import ClosedMonths, lock_open_months
from metering.operations.steps.roll_up import RollupDeltas
from metering.operations.usage.deduplicate import Deduplication, find_copies
from metering.operations.usage.settle_repeats import Completion, Settlement, charged_completions, compare_repeats
from metering.operations.usage.store_events import conflict_row, count_repeat, count_warnings, insert_new_events
from metering.storage.charges.charges import insert_charges
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.charges.superseded_events import SupersededEvent, insert_superseded, replace_withdrawn
from metering.storage.usage.events import insert_conflicts, reserve_event_ids
from pricing.book import PriceBook

# Stored with the reversal.
REASON_SUPERSEDED = "superseded"


class SettlingTools(Struct, frozen=True):
    """What settling needs besides the records: contexts of new series, prices, and the tags that are part of a series."""

    contexts: ContextCache
    book: PriceBook
    declared_tags: frozenset[str]


class SettledRecords(Struct, frozen=True):
    """What settling did: the outcome of each record by position, and the completions with their charged events.

    ``others`` are records of other requests, each under its own identity, which are still to be stored.
    """

    outcomes: dict[int, tuple[Outcome, int]]
    completions: list[Completion]
    completed: ChargedBatch
    others: dict[int, BatchEvent]

    def count(self, charged: ChargedBatch, owners: Sequence[BatchResult]) -> None:
        """Count the outcomes in the results that the records belong to."""
        for position, (outcome, _) in sorted(self.outcomes.items()):
            if outcome is Outcome.ACCEPTED:
                owners[position].accepted += 1
            else:
                count_repeat(owners[position], outcome, charged.events.ids[position], charged.events.lines[position])
        for each, context, charge in zip(self.completions, self.completed.contexts, self.completed.charges, strict=True):
            if self.outcomes[each.position][0] is not Outcome.COPY:
                count_warnings(context, charge, owners[each.position])

    @property
    def replaced(self) -> list[int]:
        """The IDs of the events that no longer count."""
        return [each.replaces for each in self.completions if each.earlier is not None]


def store_settled(
    connection: Connection, charged: ChargedBatch, tools: SettlingTools, now: int, *, identities_are_final: bool
) -> SettledRecords:
    """Settle records and write what follows.

    Needs the exclusive write lock. Raises SeriesMissingError, and SumTooLargeError if a sum would exceed 64 bits.
    """
    settlement = compare_repeats(connection, charged, tools.declared_tags, identities_are_final=identities_are_final)
    completions, completed = charged_completions(settlement, charged, tools.contexts, tools.book)
    if completions:
        store_completions(connection, settlement, completions, completed, now)
    events, contexts, _ = charged
    conflicts = [
        conflict_row(events.at(position), contexts[position], event_id, now)
        for position, (outcome, event_id) in settlement.outcomes.items()
        if outcome is Outcome.CONFLICT
    ]
    insert_conflicts(connection, conflicts)
    return SettledRecords(settlement.outcomes, completions, completed, settlement.others)


def store_completions(
    connection: Connection,
    settlement: Settlement,
    completions: Sequence[Completion],
    completed: ChargedBatch,
    now: int,
) -> None:
    """Write completions, each with the reversal of the event it replaces. A copy of another event writes none.

    Needs the exclusive write lock, so no month is closed in between.
    """
    # An event that was assigned belongs to another account than its record names.
    closed = lock_open_months(connection, {context.account_id for context in completed.contexts}, now=now)
    first_id = reserve_event_ids(connection, len(completions))
    replaced = [each.replaces for each in completions]
    dedup = find_copies(connection, completed.events, completed.contexts, Deduplication(first_id, {}), replaced)
    deltas = RollupDeltas()
    insert_new_events(connection, completed, dedup, closed, deltas, now)
    superseded: list[SupersededEvent] = []
    for index, (each, context) in enumerate(zip(completions, completed.contexts, strict=True)):
        repeat = dedup.repeats.get(index)
        if repeat is not None:
            settlement.outcomes[each.position] = Outcome.COPY, repeat.event_id
        superseded.append(
            SupersededEvent(
                event_id=each.replaces,
                account_id=context.account_id,
                event_time=each.facts.time if each.earlier is None else each.earlier.row.event_time,
                superseded_by=first_id + index if repeat is None else repeat.event_id,
                fingerprint=each.event.fingerprint,
                passes_identity=repeat is None,
                run_id=None,
            )
        )
    reverse_charges(connection, [each.earlier for each in completions if each.earlier is not None], closed, deltas, now)
    was_counted = [each.earlier is not None for each in completions]
    insert_superseded(connection, list(compress(superseded, was_counted)), now=now)
    replace_withdrawn(connection, list(compress(superseded, map(not_, was_counted))))
    add_to_sums(connection, deltas)


def reverse_charges(
    connection: Connection, events: Sequence[CurrentEvent], closed: ClosedMonths, deltas: RollupDeltas, now: int
) -> None:
    """Append the reversals of events that no longer count, billed in a month that is open, and add them to ``deltas``."""
    reversals = []
    for event in events:
        month = closed.billed_in(event.series.account_id, event.entry.billing_month)
        reversal = event.entry.reversed()._replace(billing_month=month)
        reversals.append(reversal)
        deltas.add_entry(
            reversal,
            quantities_of(event.row),
            route=event.series.route,
            quantity_grade=event.row.quantity_grade,
            event_time=event.row.event_time,
        )
    insert_charges(connection, reversals, reason=REASON_SUPERSEDED, now=now)
