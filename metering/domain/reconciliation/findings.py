"""Findings: the differences that were found, added up by cause, each with the requests and lines that show it.

Every difference ends in exactly one finding. What is called rounding is bounded: ``add_rounding`` takes the slack, and an
amount beyond it is unexplained.

Items are kept in arrays, forty bytes each: an invoice can differ in a million requests.
"""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from metering.domain.errors import DomainError
from metering.domain.reconciliation.causes import ORDER, Cause, CauseBasis
from metering.domain.reconciliation.rounding import is_rounding

NO_ID = -1
"""In the arrays: no event, or no line. Event ids and positions are never negative."""

_NO_AMOUNT = -(2**63)
_ITEMS_PER_READ = 10_000


class UnboundedRoundingError(DomainError):
    """A difference was booked as rounding without its slack: a mistake in this code, never in an invoice."""

    code = "broken_bridge"


class FindingLocation(NamedTuple):
    """Where a difference was found: provider, model and session, empty where the lines do not state them."""

    provider: str = ""
    model: str = ""
    session: str = ""


class FindingKey(NamedTuple):
    """What differences are added up by: cause, detail and location."""

    cause: Cause
    detail: str = ""
    provider: str = ""
    model: str = ""
    session: str = ""


class Item(NamedTuple):
    """One difference: the event and the line it is about, the amounts of both sides, and the amount it explains.

    None where a side has no event, line or amount.
    """

    event_id: int | None
    position: int | None
    ours_nano: int | None
    theirs_nano: int | None
    amount_nano: int


class Items:
    """Differences, in columns."""

    __slots__ = ("_amounts", "_events", "_ours", "_positions", "_theirs", "amount_nano")

    def __init__(self) -> None:
        self.amount_nano = 0
        self._events, self._positions = array("q"), array("q")
        self._ours, self._theirs, self._amounts = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._amounts)

    def add(self, item: Item) -> None:
        """Add one difference."""
        self.amount_nano += item.amount_nano
        self._events.append(NO_ID if item.event_id is None else item.event_id)
        self._positions.append(NO_ID if item.position is None else item.position)
        self._ours.append(_NO_AMOUNT if item.ours_nano is None else item.ours_nano)
        self._theirs.append(_NO_AMOUNT if item.theirs_nano is None else item.theirs_nano)
        self._amounts.append(item.amount_nano)

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), _ITEMS_PER_READ):
            yield from map(Item._make, self.rows(start, start + _ITEMS_PER_READ))

    def rows(self, start: int, stop: int, step: int = 1) -> Iterator[tuple[int | None, ...]]:
        """Return some differences as plain tuples of an Item's fields: writing a million of them needs no objects."""
        nullable = ((self._events, NO_ID), (self._positions, NO_ID), (self._ours, _NO_AMOUNT), (self._theirs, _NO_AMOUNT))
        columns = [[None if each == missing else each for each in column[start:stop:step]] for column, missing in nullable]
        return zip(*columns, self._amounts[start:stop:step], strict=True)


class Finding:
    """All differences of one key. ``alternatives`` are other explanations that fit every one of them as well.

    ``slack_nano`` is how much rounding can explain, over all differences of a rounding finding; 0 for other causes.
    """

    __slots__ = ("alternatives", "basis", "items", "key", "slack_nano")

    def __init__(self, key: FindingKey, basis: CauseBasis) -> None:
        self.key = key
        self.basis = basis
        self.alternatives: tuple[str, ...] = ()
        self.items = Items()
        self.slack_nano = 0

    @property
    def amount_nano(self) -> int:
        """The sum of the differences."""
        return self.items.amount_nano


class Findings:
    """Findings by key."""

    def __init__(self) -> None:
        self._by_key: dict[FindingKey, Finding] = {}

    def of(self, key: FindingKey, basis: CauseBasis = CauseBasis.OBSERVED) -> Finding:
        """Return the finding of a key, created if new. A finding of which any part is inferred counts as inferred.

        Raises UnboundedRoundingError for rounding, which only ``add_rounding`` adds.
        """
        if key.cause is Cause.ROUNDING:
            raise UnboundedRoundingError("rounding must be added with its slack; nothing was recorded")
        return self._finding(key, basis)

    def add(self, key: FindingKey, item: Item, basis: CauseBasis = CauseBasis.OBSERVED) -> None:
        """Add one difference to the finding of a key, unless its amount is zero. Raises UnboundedRoundingError."""
        if item.amount_nano:
            self.of(key, basis).items.add(item)

    def add_rounding(self, location: FindingLocation, item: Item, *, slack_nano: int, detail: str = "") -> None:
        """Add one difference, unless its amount is zero: as rounding if that is within the slack, otherwise as unexplained."""
        if not item.amount_nano:
            return
        if not is_rounding(item.amount_nano, slack_nano):
            self.add(FindingKey(Cause.UNEXPLAINED, detail, *location), item)
            return
        finding = self._finding(FindingKey(Cause.ROUNDING, detail, *location), CauseBasis.OBSERVED)
        finding.items.add(item)
        finding.slack_nano += slack_nano

    def sorted(self) -> list[Finding]:
        """Return all findings by cause, the largest first."""
        return sorted(self._by_key.values(), key=lambda each: (ORDER.index(each.key.cause), -abs(each.amount_nano), each.key))

    def _finding(self, key: FindingKey, basis: CauseBasis) -> Finding:
        finding = self._by_key.get(key)
        if finding is None:
            finding = self._by_key[key] = Finding(key, basis)
        elif basis is CauseBasis.INFERRED:
            finding.basis = basis
        return finding
