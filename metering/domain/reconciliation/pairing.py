"""Pairing: which line of an invoice is about which request, by the IDs that both sides know.

Lines are held in memory as an ID and two integers; requests stream by. A request that agrees with its line is counted here
and needs no further work; all others are passed on with the lines that name them.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from metering.domain.reconciliation.requests import Billability

RequestSummary = tuple[int, int, int, int, int, str, str, str]
"""(event id, event time, series id, billability, nano-USD, inference id, response id, own id); IDs are tried in this order."""

_NO_AMOUNT = -(2**63)
_BILLED = int(Billability.BILLED)


class PairedRequest(NamedTuple):
    """A request that does not agree at first sight, and the positions of the lines that name it.

    ``is_repeat``: those lines belong to another request already, so one request seems to have been metered twice here.
    """

    event_id: int
    event_time: int
    series_id: int
    billability: int
    amount_nano: int
    positions: tuple[int, ...]
    is_repeat: bool = False


class Pairing:
    """The lines of an invoice by request, (position, request id, nano-USD) each, and which of them found their request."""

    def __init__(self, lines: Iterable[tuple[int, str, int | None]]) -> None:
        self.agreed_requests = 0
        self.agreed_nano = 0
        self._slots: dict[str, int] = {}
        self._shared_slots: dict[int, list[int]] = {}
        self._positions, self._amounts = array("q"), array("q")
        for position, request_id, amount in lines:
            slot = len(self._positions)
            self._positions.append(position)
            self._amounts.append(_NO_AMOUNT if amount is None else amount)
            first = self._slots.setdefault(request_id, slot)
            if first != slot:
                self._shared_slots.setdefault(first, [first]).append(slot)
        self._matched = bytearray(len(self._positions))

    def pair(
        self, requests: Iterable[RequestSummary], *, inner: tuple[int, int], period: tuple[int, int]
    ) -> Iterator[PairedRequest]:
        """Yield the requests that do not agree at first sight.

        A request without a line is yielded if the invoice should have billed it. ``inner`` is the part of the period in which
        an equal amount is enough; outside of it every request with a line is yielded.
        """
        find, shared, amounts, matched = self._slots.get, self._shared_slots, self._amounts, self._matched
        (inner_start, inner_end), (start, end) = inner, period
        agreed = agreed_nano = 0
        for event_id, time, series_id, billability, amount, inference_id, response_id, own_id in requests:
            slot = find(inference_id) if inference_id else None
            if slot is None and response_id:
                slot = find(response_id)
            if slot is None:
                slot = find(own_id)
            if slot is None:
                if billability == _BILLED and amount and start <= time < end:
                    yield PairedRequest(event_id, time, series_id, billability, amount, ())
            elif matched[slot]:
                if billability == _BILLED and amount and start <= time < end:
                    yield PairedRequest(event_id, time, series_id, billability, amount, (), is_repeat=True)
            elif slot not in shared:
                matched[slot] = 1
                if billability == _BILLED and amounts[slot] == amount and inner_start <= time < inner_end:
                    agreed += 1
                    agreed_nano += amount
                else:
                    yield PairedRequest(event_id, time, series_id, billability, amount, (self._positions[slot],))
            else:
                for each in shared[slot]:
                    matched[each] = 1
                positions = tuple(self._positions[each] for each in shared[slot])
                yield PairedRequest(event_id, time, series_id, billability, amount, positions)
        self.agreed_requests += agreed
        self.agreed_nano += agreed_nano

    def amount_at(self, position: int) -> int | None:
        """Return the amount of the line at a position. Lines must have been given in the order of their positions."""
        amount = self._amounts[bisect_left(self._positions, position)]
        return None if amount == _NO_AMOUNT else amount

    def unmatched(self) -> Iterator[int]:
        """Yield the positions of the lines that found no request, in order."""
        for slot, is_matched in enumerate(self._matched):
            if not is_matched:
                yield self._positions[slot]
