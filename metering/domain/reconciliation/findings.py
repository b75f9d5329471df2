"""Findings: the differences that were found, added up by cause, each with the requests and lines that show it.

Items are kept in arrays, forty bytes each: a bill may differ in a million requests.
"""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from metering.domain.reconciliation.causes import ORDER, Cause, CauseBasis

NONE = -1
"""Stands for no event, no line, no amount in the arrays; ids and positions are never negative."""

_NO_AMOUNT = -(2**63)
_AT_ONCE = 10_000


class FindingLocation(NamedTuple):
    """Where a difference was found, as far as the lines say it: of which provider, model, session."""

    provider: str = ""
    model: str = ""
    session: str = ""


class FindingKey(NamedTuple):
    """What findings are added up by: a cause, what distinguishes it, and the place."""

    cause: Cause
    detail: str = ""
    provider: str = ""
    model: str = ""
    session: str = ""


class Item(NamedTuple):
    """One difference: the event and the line it is about, what each side says (None: nothing), and the amount it explains."""

    event_id: int | None
    position: int | None
    ours_nano: int | None
    theirs_nano: int | None
    amount_nano: int


class Items:
    """Differences in columns."""

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
        self._events.append(NONE if item.event_id is None else item.event_id)
        self._positions.append(NONE if item.position is None else item.position)
        self._ours.append(_NO_AMOUNT if item.ours_nano is None else item.ours_nano)
        self._theirs.append(_NO_AMOUNT if item.theirs_nano is None else item.theirs_nano)
        self._amounts.append(item.amount_nano)

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), _AT_ONCE):
            yield from map(Item._make, self.rows(start, start + _AT_ONCE))

    def rows(self, start: int, stop: int, step: int = 1) -> Iterator[tuple[int | None, ...]]:
        """Return some differences as plain tuples of what an Item holds: a million of them are written without one."""
        told = ((self._events, NONE), (self._positions, NONE), (self._ours, _NO_AMOUNT), (self._theirs, _NO_AMOUNT))
        columns = [[None if each == none else each for each in column[start:stop:step]] for column, none in told]
        return zip(*columns, self._amounts[start:stop:step], strict=True)


class Finding:
    """All differences of one key. ``alternatives`` are other explanations that fit all of them as well."""

    __slots__ = ("alternatives", "basis", "items", "key")

    def __init__(self, key: FindingKey, basis: CauseBasis) -> None:
        self.key = key
        self.basis = basis
        self.alternatives: tuple[str, ...] = ()
        self.items = Items()

    @property
    def amount_nano(self) -> int:
        """What all of them come to."""
        return self.items.amount_nano


class Findings:
    """Findings by key."""

    def __init__(self) -> None:
        self._by_key: dict[FindingKey, Finding] = {}

    def of(self, key: FindingKey, basis: CauseBasis = CauseBasis.OBSERVED) -> Finding:
        """Return the finding of a key, made where there is none yet. What is inferred anywhere is not observed."""
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Finding(key, basis)
        elif basis is CauseBasis.INFERRED:
            found.basis = basis
        return found

    def add(self, key: FindingKey, item: Item, basis: CauseBasis = CauseBasis.OBSERVED) -> None:
        """Add one difference to the finding of a key; what amounts to nothing is none."""
        if item.amount_nano:
            self.of(key, basis).items.add(item)

    def sorted(self) -> list[Finding]:
        """Return all findings by cause, then the largest first."""
        return sorted(
            self._by_key.values(), key=lambda each: (ORDER.index(each.key.cause), -abs(each.amount_nano), each.key[1:])
        )

    @property
    def amount_nano(self) -> int:
        """What all of them come to."""
        return sum(found.amount_nano for found in self._by_key.values())
