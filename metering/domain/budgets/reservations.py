"""Reservations against budgets that block: money that requests in flight may still cost.

A request is let through only if, in every budget that covers it, the spend and all reservations with its own do not pass the
limit. So on one ledger spending passes a limit only by what requests cost more than they reserved. Ledgers do not know of each
other's reservations, nor of charges that are not stored yet: N of them can let through at most N - 1 times what was left of a
budget when each last read it.

In each budget, in its current period, these are added up, each request in exactly one of them:

- spent: what is stored, as of a position of the journal (``refresh``);
- unstored: charges of events after that position, and of events that could not be written to the journal;
- reserved: requests in flight.

A charge counts in the period in which its request started, as it does when it is stored. A reservation that is neither settled
nor released expires, so that a leak does not block for long; if its request is charged afterward, the charge still counts.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

from metering.domain.budgets.blocking import BlockingBudget, CountedRequest
from metering.domain.budgets.periods import Period

# Charges that are kept one by one. Beyond it they are merged, and count a moment longer than they should once they are stored.
MAX_UNSTORED = 100_000


class BudgetShortfall(Struct, frozen=True):
    """Why a request is not let through. ``spent_nano`` includes what is not stored yet."""

    budget: BlockingBudget
    spent_nano: int
    reserved_nano: int
    asked_nano: int

    @property
    def is_exhausted(self) -> bool:
        """Whether the limit is reached; if not, the request alone can cost more than what is left."""
        return self.spent_nano >= self.budget.limit_nano

    @property
    def passes_once_settled(self) -> bool:
        """Whether only reservations of other requests stand in the way."""
        return not self.is_exhausted and self.spent_nano + self.asked_nano <= self.budget.limit_nano


class BudgetTotals(Struct, frozen=True):
    """What counts in a budget, in nano-USD."""

    spent_nano: int
    unstored_nano: int
    reserved_nano: int


class _Tally:
    """What counts in one budget in one period."""

    __slots__ = ("budget", "end", "lost", "period", "reserved", "spent", "start", "unstored")

    def __init__(self, budget: BlockingBudget, period: Period, spent_nano: int) -> None:
        self.budget = budget
        self.period = period
        self.start, self.end = period.start, period.end
        self.spent = spent_nano
        self.unstored = 0
        self.lost = 0
        self.reserved = 0

    def takes(self, request: CountedRequest, time: int) -> bool:
        return self.start <= time < self.end and request.counts_in(self.budget)

    @property
    def charged(self) -> int:
        return self.spent + self.unstored + self.lost


class _Charge:
    """A charge that is not stored yet, and the tallies that count it."""

    __slots__ = ("amount", "request", "sequence", "tallies", "time")

    def __init__(self, request: CountedRequest, time: int, amount: int, sequence: int, tallies: Sequence[_Tally]) -> None:
        self.request = request
        self.time = time
        self.amount = amount
        self.sequence = sequence
        self.tallies = tallies


class Reservation:
    """Money reserved for one request, in every budget that covers it. Times are microseconds UTC."""

    __slots__ = ("amount_nano", "expires_at", "request", "tallies", "time")

    def __init__(self, request: CountedRequest, time: int, amount_nano: int, expires_at: int, tallies: list[_Tally]) -> None:
        self.request = request
        self.time = time
        self.amount_nano = amount_nano
        self.expires_at = expires_at
        self.tallies = tallies


class ReservationLedger:
    """The blocking budgets of one gateway, and what its requests reserve and cost. Not thread-safe."""

    def __init__(self) -> None:
        self._tallies: dict[int, _Tally] = {}
        self._of_account: dict[int, list[_Tally]] = {}
        self._unstored: deque[_Charge] = deque()
        self._open: dict[Reservation, None] = {}
        self._as_of = 0
        self.reserved_nano = 0

    @property
    def open_reservations(self) -> int:
        """The number of requests in flight that hold a reservation."""
        return len(self._open)

    def blocks_account(self, account_id: int) -> bool:
        """Whether an account has a budget that blocks."""
        return account_id in self._of_account

    def totals(self, budget_id: int) -> BudgetTotals:
        """Return what counts in a budget in its current period. Raises KeyError."""
        tally = self._tallies[budget_id]
        return BudgetTotals(tally.spent, tally.unstored + tally.lost, tally.reserved)

    def reserve(
        self, request: CountedRequest, amount_nano: int, *, now: int, expires_at: int, enforce: bool = True
    ) -> Reservation | BudgetShortfall:
        """Reserve money for a request that starts now, or say which budget is short of it.

        A budget whose limit is reached lets nothing through, whatever the request costs. With ``enforce`` false, the request is
        counted but never refused.
        """
        tallies = self._covering(request, now)
        if enforce:
            for tally in tallies:
                used = tally.charged + tally.reserved
                if used >= tally.budget.limit_nano or used + amount_nano > tally.budget.limit_nano:
                    return BudgetShortfall(tally.budget, tally.charged, tally.reserved, amount_nano)
        reservation = Reservation(request, now, amount_nano, expires_at, tallies)
        for tally in tallies:
            tally.reserved += amount_nano
        self._open[reservation] = None
        self.reserved_nano += amount_nano
        return reservation

    def settle(
        self, reservation: Reservation, amount_nano: int, sequence: int | None, request: CountedRequest | None = None
    ) -> None:
        """Replace a reservation with a charge. ``request`` is as the event states it; default: as it was expected.

        ``sequence`` is the event's position in the journal; positions never fall. None: it is in no journal.
        """
        counted = request or reservation.request
        if counted is reservation.request and reservation in self._open:
            tallies = reservation.tallies
        else:
            tallies = self._covering(counted, reservation.time)
        self.release(reservation)
        self._charge(counted, reservation.time, amount_nano, sequence, tallies)

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back. Does nothing if it was settled, released, or has expired."""
        if reservation not in self._open:
            return
        del self._open[reservation]
        self.reserved_nano -= reservation.amount_nano
        for tally in reservation.tallies:
            tally.reserved -= reservation.amount_nano

    def _charge(
        self, request: CountedRequest, time: int, amount_nano: int, sequence: int | None, tallies: Sequence[_Tally]
    ) -> None:
        if not amount_nano or (sequence is not None and sequence <= self._as_of):
            return
        if sequence is None:
            for tally in tallies:
                tally.lost += amount_nano
            return
        for tally in tallies:
            tally.unstored += amount_nano
        if len(self._unstored) >= MAX_UNSTORED:
            self._merge_unstored()
        self._unstored.append(_Charge(request, time, amount_nano, sequence, tallies))

    def expire(self, now: int) -> int:
        """Release the reservations that have expired; return their number."""
        expired = [each for each in self._open if each.expires_at <= now]
        for reservation in expired:
            self.release(reservation)
        return len(expired)

    def refresh(self, budgets: Iterable[BlockingBudget], as_of: int) -> None:
        """Replace the budgets with those of a view. Charges up to ``as_of`` are in its spend. An older view is ignored."""
        if as_of < self._as_of:
            return
        self._as_of = as_of
        unstored = self._unstored
        while unstored and unstored[0].sequence <= as_of:
            charge = unstored.popleft()
            for tally in charge.tallies:
                tally.unstored -= charge.amount
        before, self._tallies = self._tallies, {}
        self._of_account = {}
        for budget in budgets:
            tally = self._tallies[budget.id] = self._refreshed(before.get(budget.id), budget)
            self._of_account.setdefault(budget.account_id, []).append(tally)

    def _refreshed(self, tally: _Tally | None, budget: BlockingBudget) -> _Tally:
        period = Period("", budget.first_day, budget.end_day)
        if tally is None or tally.budget.revision_id != budget.revision_id or tally.period.first_day < budget.first_day:
            opened = self._opened(budget, period, budget.spent_nano)
            if tally is not None and tally.start == opened.start:
                opened.lost = tally.lost
            return opened
        tally.budget = budget
        if tally.period.first_day == budget.first_day:
            tally.spent = budget.spent_nano
        # Otherwise a new period has begun since the view was made: nothing of it was stored by then.
        return tally

    def _covering(self, request: CountedRequest, time: int) -> list[_Tally]:
        """Return the tallies that count a request which starts at ``time``."""
        return [tally for tally in self._current(request.account_id, time) if tally.takes(request, time)]

    def _current(self, account_id: int, now: int) -> list[_Tally]:
        """Return the tallies of an account, those of ended periods replaced by new ones."""
        tallies = self._of_account.get(account_id)
        if tallies is None:
            return []
        for position, tally in enumerate(tallies):
            if now >= tally.end:
                period = tally.budget.period_at(now)
                if period.first_day > tally.period.first_day:
                    tallies[position] = self._tallies[tally.budget.id] = self._opened(tally.budget, period, 0)
        return tallies

    def _opened(self, budget: BlockingBudget, period: Period, spent_nano: int) -> _Tally:
        """Return a new tally with the unstored charges and the reservations that count in it."""
        tally = _Tally(budget, period, spent_nano)
        for charge in self._unstored:
            if tally.takes(charge.request, charge.time):
                tally.unstored += charge.amount
                charge.tallies = [*charge.tallies, tally]
        for reservation in self._open:
            if tally.takes(reservation.request, reservation.time):
                tally.reserved += reservation.amount_nano
                reservation.tallies = [*reservation.tallies, tally]
        return tally

    def _merge_unstored(self) -> None:
        """Merge charges that count in the same tallies."""
        merged: dict[tuple[int, ...], _Charge] = {}
        for charge in self._unstored:
            first = merged.setdefault(tuple(map(id, charge.tallies)), charge)
            if first is not charge:
                first.amount += charge.amount
                first.sequence = charge.sequence
        self._unstored = deque(sorted(merged.values(), key=lambda charge: charge.sequence))
