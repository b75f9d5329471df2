"""The events of a batch, one column per field.

Most steps use one field of all events: they look it up, sort it, or pass it to the database. As columns, events pass between
processes in half the time, and become rows in a quarter of the time, that one object per event would take.
``BatchEvents.at`` returns a single event.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Self

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from metering.domain.usage.events import Position
from pricing.quantities import ALL_KINDS, Quantities, picker

# Kinds that nearly every event has. Each has its own column, here and in the events table.
COLUMN_KINDS = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
_OTHER_KINDS = tuple(kind for kind in ALL_KINDS if kind not in COLUMN_KINDS)
_other_amounts = picker(_OTHER_KINDS)
_NO_OTHERS = (0,) * len(_OTHER_KINDS)


class BatchEvent(Struct, frozen=True, gc=False, array_like=True):
    """One event of a batch.

    ``dimensions`` is the position of its dimensions in the batch's list. ``digest`` and ``claims`` come from ``identity``.
    ``other_quantities`` is JSON of the kinds that few events have, ``details`` JSON of fields without a column; both are empty
    if there are none.
    """

    dimensions: int
    id: str
    digest: bytes
    fingerprint: int
    time: int
    status: int | None
    succeeded: bool
    gateway_cached: bool
    quantity_grade: int
    quantities: Quantities
    other_quantities: str
    response_id: str
    inference_id: str
    latency_ms: int | None
    reported_cost_nano: int | None
    details: str
    claims: list[int]
    position: Position


class BatchEvents(Struct, array_like=True):
    """Columns of equal length: the values at one position belong to one event.

    ``beyond`` holds all quantities of an event that used kinds other than COLUMN_KINDS; it is None for most events.
    """

    dimensions: list[int]
    ids: list[str]
    digests: list[bytes]
    fingerprints: list[int]
    times: list[int]
    statuses: list[int | None]
    succeeded: list[bool]
    gateway_cached: list[bool]
    quantity_grades: list[int]
    input_tokens: list[int]
    cache_read_tokens: list[int]
    output_tokens: list[int]
    reasoning_tokens: list[int]
    beyond: list[Quantities | None]
    response_ids: list[str]
    inference_ids: list[str]
    latencies_ms: list[int | None]
    reported_costs_nano: list[int | None]
    details: list[str]
    claims: list[list[int]]
    lines: list[int]
    offsets: list[int]
    lengths: list[int]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the events of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(list(chain.from_iterable(getattr(part, name) for part in parts)) for name in cls.__struct_fields__))

    @classmethod
    def of(cls, events: Sequence[BatchEvent]) -> Self:
        """Return events as columns."""
        positions = [event.position for event in events]
        quantities = [event.quantities for event in events]
        return cls(
            dimensions=[event.dimensions for event in events],
            ids=[event.id for event in events],
            digests=[event.digest for event in events],
            fingerprints=[event.fingerprint for event in events],
            times=[event.time for event in events],
            statuses=[event.status for event in events],
            succeeded=[event.succeeded for event in events],
            gateway_cached=[event.gateway_cached for event in events],
            quantity_grades=[event.quantity_grade for event in events],
            input_tokens=[each.input_tokens for each in quantities],
            cache_read_tokens=[each.cache_read_tokens for each in quantities],
            output_tokens=[each.output_tokens for each in quantities],
            reasoning_tokens=[each.reasoning_tokens for each in quantities],
            beyond=[each if has_other_kinds(each) else None for each in quantities],
            response_ids=[event.response_id for event in events],
            inference_ids=[event.inference_id for event in events],
            latencies_ms=[event.latency_ms for event in events],
            reported_costs_nano=[event.reported_cost_nano for event in events],
            details=[event.details for event in events],
            claims=[event.claims for event in events],
            lines=[position.line for position in positions],
            offsets=[position.offset for position in positions],
            lengths=[position.length for position in positions],
        )

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.ids)

    def only(self, positions: Sequence[int]) -> Self:
        """Return the events at these positions, in this order."""
        return type(self)(*([column[position] for position in positions] for column in astuple(self)))

    def quantities_at(self, position: int) -> Quantities:
        """Return the quantities of one event."""
        return self.beyond[position] or Quantities(
            input_tokens=self.input_tokens[position],
            cache_read_tokens=self.cache_read_tokens[position],
            output_tokens=self.output_tokens[position],
            reasoning_tokens=self.reasoning_tokens[position],
        )

    def at(self, position: int) -> BatchEvent:
        """Return one event."""
        quantities = self.quantities_at(position)
        return BatchEvent(
            dimensions=self.dimensions[position],
            id=self.ids[position],
            digest=self.digests[position],
            fingerprint=self.fingerprints[position],
            time=self.times[position],
            status=self.statuses[position],
            succeeded=self.succeeded[position],
            gateway_cached=self.gateway_cached[position],
            quantity_grade=self.quantity_grades[position],
            quantities=quantities,
            other_quantities=other_quantities(quantities),
            response_id=self.response_ids[position],
            inference_id=self.inference_ids[position],
            latency_ms=self.latencies_ms[position],
            reported_cost_nano=self.reported_costs_nano[position],
            details=self.details[position],
            claims=self.claims[position],
            position=Position(self.lines[position], self.offsets[position], self.lengths[position]),
        )


def has_other_kinds(quantities: Quantities) -> bool:
    """Whether any kind other than COLUMN_KINDS is not zero."""
    return _other_amounts(astuple(quantities)) != _NO_OTHERS


def other_quantities(quantities: Quantities) -> str:
    """Return the nonzero kinds other than COLUMN_KINDS as JSON; empty if there are none."""
    others = {kind: amount for kind in _OTHER_KINDS if (amount := getattr(quantities, kind))}
    return msgspec.json.encode(others).decode() if others else ""
