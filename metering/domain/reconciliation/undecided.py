"""Differences that several explanations fit: which of them stands is decided by all of them together.

One difference may fit by chance; a cause that is true fits many. The explanation that fits most goes first and takes what it
fits, and so on with what is left. Where two fit the same differences equally well and name different causes, neither is
presented as a fact: the amount stays unexplained and both are named.
"""

from array import array
from collections import Counter
from typing import NamedTuple

from metering.domain.reconciliation.causes import Basis, Cause
from metering.domain.reconciliation.explanations import Candidate, Explanation, Part, in_order, written
from metering.domain.reconciliation.findings import Finding, FindingKey, Findings, Item, Items

UNEXPLAINED: Explanation = (Part(Cause.UNEXPLAINED),)


class _Group(NamedTuple):
    """Differences of one model that the same explanations fit."""

    provider: str
    model: str
    fits: frozenset[Explanation]


class _Entries:
    """The differences of a group; ``firsts`` holds the amount of the first part of each explanation that has two."""

    __slots__ = ("firsts", "items")

    def __init__(self) -> None:
        self.items = Items()
        self.firsts: dict[Explanation, array[int]] = {}


class Undecided:
    """Collects differences with what fits them, and settles them."""

    def __init__(self) -> None:
        self._groups: dict[_Group, _Entries] = {}

    def add(self, provider: str, model: str, fits: list[Candidate], item: Item) -> None:
        """Add a difference; with nothing that fits, it stays unexplained."""
        group = _Group(provider, model, frozenset(each.explanation for each in fits))
        entries = self._groups.setdefault(group, _Entries())
        entries.items.add(item)
        for each in fits:
            if len(each.amounts) > 1:
                entries.firsts.setdefault(each.explanation, array("q")).append(each.amounts[0])

    def settle(self, findings: Findings, observed: frozenset[str] = frozenset()) -> None:
        """Add every difference to the findings. ``observed`` are details of quantities that lines state: facts."""
        writer = _Writer(findings, observed)
        left = dict(self._groups)
        while left:
            support: Counter[Explanation] = Counter()
            for group, entries in left.items():
                for explanation in group.fits:
                    support[explanation] += len(entries.items)
            best = min(support, key=lambda each: (-support[each], in_order(each)), default=None)
            for group in [group for group in left if best is None or best in group.fits]:
                equals = sorted((each for each in group.fits if support[each] == support[best]), key=in_order) if best else []
                writer.write(group, left.pop(group), equals)


class _Writer:
    """Writes groups to the findings; ``equals`` are the explanations that fit one equally well, the first of them first."""

    def __init__(self, findings: Findings, observed: frozenset[str]) -> None:
        self._findings = findings
        self._observed = observed

    def write(self, group: _Group, entries: _Entries, equals: list[Explanation]) -> None:
        names = tuple(written(each) for each in equals)
        if len({tuple(part.cause for part in each) for each in equals}) != 1:
            founds = [self._finding(group, Part(Cause.UNEXPLAINED, " | ".join(names)), names)]
        else:
            founds = [self._finding(group, part, names[1:]) for part in equals[0]]
        if len(founds) == 1:
            for item in entries.items:
                founds[0].items.add(item)
            return
        for item, first in zip(entries.items, entries.firsts[equals[0]], strict=True):
            for found, amount in zip(founds, (first, item.amount_nano - first), strict=True):
                if amount:
                    found.items.add(item._replace(amount_nano=amount))

    def _finding(self, group: _Group, part: Part, alternatives: tuple[str, ...]) -> Finding:
        fact = part.cause is Cause.UNEXPLAINED or (part.cause is Cause.QUANTITY and part.detail in self._observed)
        key = FindingKey(part.cause, part.detail, group.provider, group.model)
        found = self._findings.of(key, Basis.OBSERVED if fact else Basis.INFERRED)
        found.alternatives = alternatives
        return found
