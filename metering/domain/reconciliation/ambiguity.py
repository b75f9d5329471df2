"""Differences that several explanations fit. All differences together decide which explanation applies.

One difference can fit by chance; a cause that is true fits many. The explanation that fits most differences goes first and
takes those it fits, and so on with the rest. If two fit the same differences equally well and name different causes, neither
is presented as a fact: the amount stays unexplained, and both are listed. Where nothing fits, a constant factor is tried. Of
very many differences that nothing fits, a few fit something by accident, so an explanation that fits hardly any is only listed.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from metering.domain.reconciliation.causes import Cause, CauseBasis
from metering.domain.reconciliation.explanations import Candidate, CausePart, Explanation, format_explanation, sort_key
from metering.domain.reconciliation.findings import Finding, FindingKey, FindingLocation, Findings, Item, Items
from metering.domain.reconciliation.markups import MAX_PAIRS, AmountPair, Factor, shared_factor

NO_FACTOR = -1
"""The factor slack of a difference that is only a part of what both sides state: no factor is tried on it."""

MAX_ALTERNATIVES = 5
ACCIDENT_RATE = 1_000
"""An explanation that fits fewer than one in so many differences fits by accident. Measured: one in ten thousand."""

_PERCENT_DECIMALS, _ALTERNATIVE_PPM = 2, 50_000

_Shares = Mapping[Explanation, tuple[int, ...]]


class DifferenceSlack(NamedTuple):
    """How much rounding can explain of a difference, in nano-USD.

    ``rounding_nano`` is the most that may be left as rounding; ``factor_nano`` is how far theirs can be from ours times a
    factor, or NO_FACTOR.
    """

    rounding_nano: int
    factor_nano: int = NO_FACTOR


class _Group(NamedTuple):
    """Differences in one location that the same explanations fit. ``alternatives`` may fit by chance and are only listed."""

    location: FindingLocation
    fits: frozenset[Explanation]
    alternatives: tuple[str, ...] = ()


class _Entries:
    """The differences of a group, each with its slack, and the share of each part of an explanation if it has several."""

    __slots__ = ("factor_slacks", "items", "rounding_slacks", "shares")

    def __init__(self) -> None:
        self.items = Items()
        self.rounding_slacks, self.factor_slacks = array("q"), array("q")
        self.shares: dict[Explanation, tuple[array[int], ...]] = {}

    def add(self, item: Item, slack: DifferenceSlack, shares: _Shares) -> None:
        self.items.add(item)
        self.rounding_slacks.append(slack.rounding_nano)
        self.factor_slacks.append(slack.factor_nano)
        for explanation, amounts in shares.items():
            columns = self.shares.get(explanation)
            if columns is None:
                columns = self.shares[explanation] = tuple(array("q") for _ in amounts)
            for column, amount in zip(columns, amounts, strict=True):
                column.append(amount)

    def __iter__(self) -> Iterator[tuple[Item, DifferenceSlack, _Shares]]:
        slacks = map(DifferenceSlack, self.rounding_slacks, self.factor_slacks)
        for at, (item, slack) in enumerate(zip(self.items, slacks, strict=True)):
            yield item, slack, {name: tuple(column[at] for column in columns) for name, columns in self.shares.items()}

    def pairs(self, step: int) -> Iterator[AmountPair]:
        """Yield the amounts of every ``step``-th difference that a factor is tried on."""
        rows = self.items.rows(0, len(self.items), step)
        for row, factor_slack in zip(rows, self.factor_slacks[::step], strict=True):
            if factor_slack != NO_FACTOR:
                yield _pair(Item._make(row), factor_slack)


class AmbiguityResolver:
    """Collects differences with the explanations that fit them, and resolves them all at the end.

    A factor must be shared by ``min_pairs`` differences or more.
    """

    def __init__(self, *, min_pairs: int = 1) -> None:
        self._groups: dict[_Group, _Entries] = {}
        self._min_pairs = min_pairs

    def add(
        self,
        location: FindingLocation,
        fits: Sequence[Candidate],
        item: Item,
        slack: DifferenceSlack,
        *,
        alternatives: tuple[str, ...] = (),
    ) -> None:
        """Add a difference with the candidates that fit it; without any it stays unexplained, with ``alternatives`` listed."""
        shares = {
            each.explanation: each.share_out(item.amount_nano) for each in fits if each.rough is None or len(each.amounts) > 1
        }
        group = _Group(location, frozenset(each.explanation for each in fits), alternatives[:MAX_ALTERNATIVES])
        self._entries(group).add(item, slack, shares)

    def resolve(self, findings: Findings, observed: frozenset[str] = frozenset()) -> None:
        """Add every difference to the findings. ``observed`` are details of quantities that lines state, which are facts."""
        self._try_factors()
        writer = _FindingWriter(findings, observed)
        left = dict(self._groups)
        unexplained = sum(len(entries.items) for group, entries in left.items() if not group.fits)
        while left:
            support: Counter[Explanation] = Counter()
            for group, entries in left.items():
                for explanation in group.fits:
                    support[explanation] += len(entries.items)
            best = min(support, key=lambda each: (-support[each], sort_key(each)), default=None)
            is_accident = best is not None and support[best] * ACCIDENT_RATE < unexplained
            for group in [group for group in left if best is None or best in group.fits]:
                equals = sorted((each for each in group.fits if support[each] == support[best]), key=sort_key) if best else []
                writer.write(group, left.pop(group), equals, is_accident=is_accident)

    def _entries(self, group: _Group) -> _Entries:
        entries = self._groups.get(group)
        if entries is None:
            entries = self._groups[group] = _Entries()
        return entries

    def _try_factors(self) -> None:
        """Propose the factor that all unexplained differences share, then the one that the rest of each provider share."""
        self._try_factor(lambda _: True)
        for provider in sorted({group.location.provider for group in self._groups if not group.fits}):
            self._try_factor({provider}.__contains__)

    def _try_factor(self, is_chosen: Callable[[str], bool]) -> None:
        def is_affected(group: _Group) -> bool:
            return is_chosen(group.location.provider)

        unexplained = [entries for group, entries in self._groups.items() if not group.fits and is_affected(group)]
        step = sum(len(entries.items) for entries in unexplained) // MAX_PAIRS + 1
        pairs = [pair for entries in unexplained for pair in entries.pairs(step)]
        factor = shared_factor(pairs, min_pairs=self._min_pairs)
        if factor is not None:
            part = factor.part
            self._propose(factor, is_affected, lambda group: group._replace(fits=group.fits | {(part,)}))
            return
        factor = shared_factor(pairs, min_pairs=self._min_pairs, chance_ppm=_ALTERNATIVE_PPM, max_decimals=_PERCENT_DECIMALS)
        if factor is not None:
            name = format_explanation((factor.part,))
            self._propose(
                factor,
                lambda group: not group.fits and name not in group.alternatives and is_affected(group),
                lambda group: group._replace(alternatives=(*group.alternatives, name)[-MAX_ALTERNATIVES:]),
            )

    def _propose(self, factor: Factor, is_affected: Callable[[_Group], bool], changed: Callable[[_Group], _Group]) -> None:
        """Move the differences that a factor fits to the ``changed`` group, where it competes with what else fits them."""
        for group in [each for each in self._groups if is_affected(each)]:
            entries = self._groups.pop(group)
            for item, slack, shares in entries:
                fits = slack.factor_nano != NO_FACTOR and factor.fits(_pair(item, slack.factor_nano))
                self._entries(changed(group) if fits else group).add(item, slack, shares)


def _pair(item: Item, factor_slack: int) -> AmountPair:
    return AmountPair(item.ours_nano or 0, item.theirs_nano or 0, factor_slack)


class _FindingWriter:
    """Writes groups to the findings. ``equals`` are the explanations that fit a group equally well, the first one first."""

    def __init__(self, findings: Findings, observed: frozenset[str]) -> None:
        self._findings = findings
        self._observed = observed

    def write(self, group: _Group, entries: _Entries, equals: list[Explanation], *, is_accident: bool) -> None:
        names = tuple(format_explanation(each) for each in equals) or group.alternatives
        if is_accident or len({tuple(part.cause for part in each) for each in equals}) != 1:
            findings = [self._finding(group, CausePart(Cause.UNEXPLAINED, " | ".join(names)), names)]
            shares = None
        else:
            findings = [self._finding(group, part, names[1:]) for part in equals[0]]
            shares = entries.shares.get(equals[0])
        if shares is None:
            for item in entries.items:
                findings[0].items.add(item)
            return
        for item, slack_nano, *amounts in zip(entries.items, entries.rounding_slacks, *shares, strict=True):
            for finding, amount in zip(findings, amounts, strict=True):
                if amount:
                    finding.items.add(item._replace(amount_nano=amount))
            rest = item._replace(amount_nano=item.amount_nano - sum(amounts))
            self._findings.add_rounding(group.location, rest, slack_nano=slack_nano)

    def _finding(self, group: _Group, part: CausePart, alternatives: tuple[str, ...]) -> Finding:
        is_fact = part.cause is Cause.UNEXPLAINED or (part.cause is Cause.QUANTITY and part.detail in self._observed)
        finding = self._findings.of(
            FindingKey(part.cause, part.detail, *group.location), CauseBasis.OBSERVED if is_fact else CauseBasis.INFERRED
        )
        finding.alternatives = alternatives
        return finding
