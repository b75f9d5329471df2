"""Pairing: which line of an invoice is about which request, by the ids that both sides know.

Lines are held in memory as an id and two integers, requests stream by. What simply agrees is counted here and never looked at
again; everything else is handed on with the lines that name it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from metering.domain.reconciliation.requests import Billability

Brief = tuple[int, int, int, int, int, str, str, str]
"""A request: (event id, event time, series id, standing, nano-USD, inference id, response id, own id): tried in this order."""

_NO_AMOUNT = -(2**63)
_BILLED = int(Billability.BILLED)


class Paired(NamedTuple):
    """A request that does not simply agree, and the positions of the lines that name it.

    ``again``: the lines that name it were another request's already, so that we seem to have metered one request twice.
    """

    event_id: int
    event_time: int
    series_id: int
    standing: int
    amount_nano: int
    positions: tuple[int, ...]
    again: bool = False


class Pairing:
    """The lines of an invoice at request grain, (position, request id, nano-USD) each, and which found their request."""

    def __init__(self, lines: Iterable[tuple[int, str, int | None]]) -> None:
        self.agreed_requests = 0
        self.agreed_nano = 0
        self._slots: dict[str, int] = {}
        self._more: dict[int, list[int]] = {}
        self._positions, self._amounts = array("q"), array("q")
        for position, request_id, amount in lines:
            slot = len(self._positions)
            self._positions.append(position)
            self._amounts.append(_NO_AMOUNT if amount is None else amount)
            first = self._slots.setdefault(request_id, slot)
            if first != slot:
                self._more.setdefault(first, [first]).append(slot)
        self._taken = bytearray(len(self._positions))

    def pair(self, requests: Iterable[Brief], *, inner: tuple[int, int], period: tuple[int, int]) -> Iterator[Paired]:
        """Yield the requests that do not simply agree.

        Requests without a line are handed on where the invoice should have charged them. ``inner`` is the part of the period
        in which an equal amount is enough; beside it every request with a line is handed on.
        """
        find, more, amounts, taken = self._slots.get, self._more, self._amounts, self._taken
        (inner_start, inner_end), (start, end) = inner, period
        agreed = agreed_nano = 0
        for event_id, time, series_id, standing, amount, inference_id, response_id, own_id in requests:
            slot = find(inference_id) if inference_id else None
            if slot is None and response_id:
                slot = find(response_id)
            if slot is None:
                slot = find(own_id)
            if slot is None:
                if standing == _BILLED and amount and start <= time < end:
                    yield Paired(event_id, time, series_id, standing, amount, ())
            elif taken[slot]:
                if standing == _BILLED and amount and start <= time < end:
                    yield Paired(event_id, time, series_id, standing, amount, (), again=True)
            elif slot not in more:
                taken[slot] = 1
                if standing == _BILLED and amounts[slot] == amount and inner_start <= time < inner_end:
                    agreed += 1
                    agreed_nano += amount
                else:
                    yield Paired(event_id, time, series_id, standing, amount, (self._positions[slot],))
            else:
                for each in more[slot]:
                    taken[each] = 1
                positions = tuple(self._positions[each] for each in more[slot])
                yield Paired(event_id, time, series_id, standing, amount, positions)
        self.agreed_requests += agreed
        self.agreed_nano += agreed_nano

    def amount_at(self, position: int) -> int | None:
        """Return the amount of the line at a position; lines were given in the order of their positions."""
        amount = self._amounts[bisect_left(self._positions, position)]
        return None if amount == _NO_AMOUNT else amount

    def left(self) -> Iterator[int]:
        """Yield the positions of the lines that found no request, in order."""
        for slot, taken in enumerate(self._taken):
            if not taken:
                yield self._positions[slot]
