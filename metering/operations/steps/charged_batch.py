"""Events that are ready to be stored, each with its context and its charge."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Self

from metering.domain.usage.batch_events import BatchEvents
from metering.domain.usage.charging import FirstCharge
from metering.operations.steps.event_contexts import EventContext


class ChargedBatch(NamedTuple):
    """Events with, at the same position, the context and the first charge of each."""

    events: BatchEvents
    contexts: list[EventContext]
    charges: list[FirstCharge]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Concatenate batches, in order."""
        if len(parts) == 1:
            return parts[0]
        events = BatchEvents.joined([part.events for part in parts])
        contexts = list(chain.from_iterable(part.contexts for part in parts))
        return cls(events, contexts, list(chain.from_iterable(part.charges for part in parts)))

    def only(self, positions: Sequence[int]) -> Self:
        """Return the events at these positions, in this order."""
        contexts = [self.contexts[position] for position in positions]
        return type(self)(self.events.only(positions), contexts, [self.charges[position] for position in positions])
