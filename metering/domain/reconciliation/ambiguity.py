"""Differences that several explanations fit: which of them stands is decided by all of them together.

One difference may fit by chance; a cause that is true fits many. The explanation that fits most goes first and takes what it
fits, and so on with what is left. Where two fit the same differences equally well and name different causes, neither is
presented as a fact: the amount stays unexplained and both are named. What nothing fits is asked for a constant factor. Of very
many that nothing fits, some fit something by accident: what fits hardly any of them is only named as well.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from metering.domain.reconciliation.causes import Cause, CauseBasis
from metering.domain.reconciliation.explanations import Candidate, CausePart, Explanation, format_explanation, sort_key
from metering.domain.reconciliation.findings import Finding, FindingKey, FindingLocation, Findings, Item, Items
from metering.domain.reconciliation.markups import MOST_ASKED, Factor, Pair, shared_factor

NO_REACH = -1
"""Of a difference that is only a part of what both sides say, so that no factor is asked for."""

MOST_POSSIBLE = 5
BY_ACCIDENT = 1_000
"""One difference in so many fits some explanation by accident; measured: one in ten thousand."""

_PERCENT_DECIMALS, _POSSIBLE_PPM = 2, 50_000

_Shares = Mapping[Explanation, tuple[int, ...]]


class _Group(NamedTuple):
    """Differences in one place that the same explanations fit; ``possible`` may be by chance and are only named."""

    place: FindingLocation
    fits: frozenset[Explanation]
    possible: tuple[str, ...] = ()


class _Entries:
    """The differences of a group, with what each part of an explanation says of them where that is not all of it."""

    __slots__ = ("items", "reaches", "shares")

    def __init__(self) -> None:
        self.items = Items()
        self.reaches = array("q")
        self.shares: dict[Explanation, tuple[array[int], ...]] = {}

    def add(self, item: Item, reach: int, shares: _Shares) -> None:
        self.items.add(item)
        self.reaches.append(reach)
        for explanation, amounts in shares.items():
            columns = self.shares.get(explanation)
            if columns is None:
                columns = self.shares[explanation] = tuple(array("q") for _ in amounts)
            for column, amount in zip(columns, amounts, strict=True):
                column.append(amount)

    def __iter__(self) -> Iterator[tuple[Item, int, _Shares]]:
        for at, (item, reach) in enumerate(zip(self.items, self.reaches, strict=True)):
            yield item, reach, {name: tuple(column[at] for column in columns) for name, columns in self.shares.items()}

    def pairs(self, step: int) -> Iterator[Pair]:
        """Yield what both sides say of one difference in ``step``."""
        rows = self.items.rows(0, len(self.items), step)
        for row, reach in zip(rows, self.reaches[::step], strict=True):
            if reach != NO_REACH:
                yield _pair(Item._make(row), reach)


class AmbiguityResolver:
    """Collects differences with what fits them, and settles them. A factor is shared by ``least`` differences or more."""

    def __init__(self, *, least: int = 1) -> None:
        self._groups: dict[_Group, _Entries] = {}
        self._least = least

    def add(
        self,
        place: FindingLocation,
        fits: Sequence[Candidate],
        item: Item,
        *,
        reach: int = NO_REACH,
        possible: tuple[str, ...] = (),
    ) -> None:
        """Add a difference; with nothing that fits, it stays unexplained. ``reach``: how far rounding takes a product."""
        shares = {
            each.explanation: each.share_out(item.amount_nano) for each in fits if each.rough is None or len(each.amounts) > 1
        }
        group = _Group(place, frozenset(each.explanation for each in fits), possible[:MOST_POSSIBLE])
        self._entries(group).add(item, reach, shares)

    def settle(self, findings: Findings, observed: frozenset[str] = frozenset()) -> None:
        """Add every difference to the findings. ``observed`` are details of quantities that lines state: facts."""
        self._ask_for_factors()
        writer = _FindingWriter(findings, observed)
        left = dict(self._groups)
        unexplained = sum(len(entries.items) for group, entries in left.items() if not group.fits)
        while left:
            support: Counter[Explanation] = Counter()
            for group, entries in left.items():
                for explanation in group.fits:
                    support[explanation] += len(entries.items)
            best = min(support, key=lambda each: (-support[each], sort_key(each)), default=None)
            is_chance = best is not None and support[best] * BY_ACCIDENT < unexplained
            for group in [group for group in left if best is None or best in group.fits]:
                equals = sorted((each for each in group.fits if support[each] == support[best]), key=sort_key) if best else []
                writer.write(group, left.pop(group), equals, is_chance=is_chance)

    def _entries(self, group: _Group) -> _Entries:
        entries = self._groups.get(group)
        if entries is None:
            entries = self._groups[group] = _Entries()
        return entries

    def _ask_for_factors(self) -> None:
        """Put the factor forward that all that is left shares, then those that the rest of each provider does."""
        self._ask(lambda _: True)
        for provider in sorted({group.place.provider for group in self._groups if not group.fits}):
            self._ask({provider}.__contains__)

    def _ask(self, is_provider: Callable[[str], bool]) -> None:
        def is_asked(group: _Group) -> bool:
            return is_provider(group.place.provider)

        unexplained = [entries for group, entries in self._groups.items() if not group.fits and is_asked(group)]
        step = sum(len(entries.items) for entries in unexplained) // MOST_ASKED + 1
        pairs = [pair for entries in unexplained for pair in entries.pairs(step)]
        factor = shared_factor(pairs, least=self._least)
        if factor is not None:
            part = factor.part
            self._propose(factor, is_asked, lambda group: group._replace(fits=group.fits | {(part,)}))
            return
        factor = shared_factor(pairs, least=self._least, chance_ppm=_POSSIBLE_PPM, most_decimals=_PERCENT_DECIMALS)
        if factor is not None:
            name = format_explanation((factor.part,))
            self._propose(
                factor,
                lambda group: not group.fits and name not in group.possible and is_asked(group),
                lambda group: group._replace(possible=(*group.possible, name)[-MOST_POSSIBLE:]),
            )

    def _propose(self, factor: Factor, is_asked: Callable[[_Group], bool], changed: Callable[[_Group], _Group]) -> None:
        """Move the differences that a factor fits to the group that says so; it competes with what fits them as well."""
        for group in [each for each in self._groups if is_asked(each)]:
            entries = self._groups.pop(group)
            for item, reach, shares in entries:
                fits = reach != NO_REACH and factor.fits(_pair(item, reach))
                self._entries(changed(group) if fits else group).add(item, reach, shares)


def _pair(item: Item, reach: int) -> Pair:
    return Pair(item.ours_nano or 0, item.theirs_nano or 0, reach)


class _FindingWriter:
    """Writes groups to the findings; ``equals`` are the explanations that fit one equally well, the first of them first."""

    def __init__(self, findings: Findings, observed: frozenset[str]) -> None:
        self._findings = findings
        self._observed = observed

    def write(self, group: _Group, entries: _Entries, equals: list[Explanation], *, is_chance: bool) -> None:
        names = tuple(format_explanation(each) for each in equals) or group.possible
        if is_chance or len({tuple(part.cause for part in each) for each in equals}) != 1:
            founds = [self._finding(group, CausePart(Cause.UNEXPLAINED, " | ".join(names)), names)]
            shares = None
        else:
            founds = [self._finding(group, part, names[1:]) for part in equals[0]]
            shares = entries.shares.get(equals[0])
        if shares is None:
            for item in entries.items:
                founds[0].items.add(item)
            return
        for item, *amounts in zip(entries.items, *shares, strict=True):
            for found, amount in zip(founds, amounts, strict=True):
                if amount:
                    found.items.add(item._replace(amount_nano=amount))
            rest = item.amount_nano - sum(amounts)
            self._findings.add(FindingKey(Cause.ROUNDING, "", *group.place), item._replace(amount_nano=rest))

    def _finding(self, group: _Group, part: CausePart, alternatives: tuple[str, ...]) -> Finding:
        fact = part.cause is Cause.UNEXPLAINED or (part.cause is Cause.QUANTITY and part.detail in self._observed)
        found = self._findings.of(
            FindingKey(part.cause, part.detail, *group.place), CauseBasis.OBSERVED if fact else CauseBasis.INFERRED
        )
        found.alternatives = alternatives
        return found
