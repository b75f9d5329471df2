"""Why the sums of a group differ: quantities that are stated are held against ours first, then the hypotheses are tried.

At this grain an explanation fits an amount, not a request. It is named only where it is the one that fits, and where so few
were tried that fitting by chance is unlikely; otherwise the amount stays unexplained and what fits is listed beside it.
"""

from collections.abc import Iterable, Sequence

from metering.domain.errors import DomainError
from metering.domain.reconciliation.ambiguity import NO_REACH, AmbiguityResolver
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import Candidate, combined, format_explanation, sort_key
from metering.domain.reconciliation.findings import FindingKey, FindingLocation, Findings, Item
from metering.domain.reconciliation.group_hypotheses import HYPOTHESES, GroupHypothesis, exact_nano, rounding_slack
from metering.domain.reconciliation.invoices import Coverage, InvoiceLine
from metering.domain.reconciliation.request_hypotheses import Versions, kinds_that_differ, stated_quantities
from metering.domain.reconciliation.requests import Billability
from metering.domain.reconciliation.usage_groups import EdgeUsage, GroupKey, MeteredUsage, UsageGroup, dimensions_of, grouped
from pricing.quantities import ALL_KINDS, Quantities

CHANCE_PERCENT = 5
"""Beyond this chance that something fits by accident, nothing that fits is named."""


class UnvaluedUsageError(DomainError):
    """A bill without amounts states usage that has no price: unknown is not zero, and not agreement."""

    code = "unvalued_usage"


class GroupExplainer:
    """Holds the sums of both sides against each other. ``known`` are further candidates for a bill's total: credits, fees.

    ``ours_nano`` adds up what we charge, ``valued_nano`` what lines without an amount come to at our prices;
    ``matched_nano`` is how much of their amounts we metered as well, group by group.
    """

    def __init__(self, coverage: Coverage, *, unit_nano: int, versions: Versions, known: Sequence[Candidate] = ()) -> None:
        self.findings = Findings()
        self.ours_nano = 0
        self.requests = 0
        self.matched_nano = 0
        self.valued_nano = 0
        self._coverage = coverage
        self._unit = unit_nano
        self._versions = versions
        self._known = [GroupHypothesis(each) for each in known]
        self._undecided = AmbiguityResolver()

    def explain(self, lines: Iterable[InvoiceLine], usage: Iterable[MeteredUsage], edges: Iterable[EdgeUsage]) -> Findings:
        """Return the findings of an invoice's usage lines."""
        kept = [line for line in lines if not self._is_refund(line)]
        dimensions = dimensions_of(kept)
        for key, group in grouped(dimensions, kept, usage, [] if "day" in dimensions else edges).items():
            self._take(key, group, whole=not dimensions)
        self._undecided.settle(self.findings)
        return self.findings

    def _is_refund(self, line: InvoiceLine) -> bool:
        amount = line.amount_nano or 0
        key = FindingKey(Cause.REFUND, "", line.provider, line.model, line.session)
        if amount < 0:
            self.findings.add(key, Item(None, line.position, None, amount, amount))
        return amount < 0

    def _take(self, key: GroupKey, group: UsageGroup, *, whole: bool) -> None:
        ours, theirs = group.amount_nano, group.theirs
        self.ours_nano += ours
        self.requests += group.requests
        place = _place(key, group)
        if not theirs.lines:
            self.findings.add(FindingKey(Cause.MISSING_THERE, "", *place), Item(None, None, ours, None, -ours))
            return
        if theirs.amount_nano is None:
            self._value(group, place)
            return
        self.matched_nano += max(0, min(theirs.amount_nano, ours))
        self._compare(group, place, whole=whole)

    def _compare(self, group: UsageGroup, place: FindingLocation, *, whole: bool) -> None:
        ours, theirs = group.amount_nano, group.theirs
        difference = (theirs.amount_nano or 0) - ours
        quantity, detail = _stated_difference(group)
        item = Item(None, theirs.position, ours, theirs.amount_nano, difference)
        # As many requests, rounded up each, and once more what is stated: so far a product of ours can be from theirs.
        reach = self._bound(group) + group.requests
        if quantity and abs(difference) > self._bound(group):
            self.findings.add(FindingKey(Cause.QUANTITY, detail, *place), item._replace(amount_nano=quantity))
            item, reach = item._replace(amount_nano=difference - quantity), NO_REACH
        if not item.amount_nano:
            return
        bound = self._bound(group) + (rounding_slack(group.requests) if group.billed else 0)
        if abs(item.amount_nano) <= bound:
            self.findings.add(FindingKey(Cause.ROUNDING, "", *place), item)
            return
        fits, named = self._fitting(group, item.amount_nano, whole=whole)
        plain = None if fits and named else _plain_cause(group)
        if plain is not None:
            self.findings.add(FindingKey(plain, "", *place), item)
        elif named:
            self._undecided.add(place, fits, item, reach=reach)
        else:
            names = tuple(format_explanation(each.explanation) for each in fits)
            self._undecided.add(place, (), item, reach=reach, possible=names)

    def _fitting(self, group: UsageGroup, difference: int, *, whole: bool) -> tuple[list[Candidate], bool]:
        """Return the candidates that fit, alone or else in pairs, and whether fitting is more than chance."""
        tried = [each for hypothesis in HYPOTHESES for each in hypothesis(group, self._versions, self._coverage)]
        tried = [each for each in [*tried, *(self._known if whole else [])] if each.candidate.total]
        fits, chance = self._among(group, difference, tried)
        if not fits:
            pairs = list(_pairs([each for each in tried if not each.narrow]))
            fits, chance = self._among(group, difference, pairs)
        return fits, chance * 100 <= CHANCE_PERCENT * _SCALE

    def _among(self, group: UsageGroup, difference: int, tried: Sequence[GroupHypothesis]) -> tuple[list[Candidate], int]:
        bound = self._bound(group)
        fits = [each for each in tried if abs(each.candidate.total - difference) <= bound + each.slack_nano]
        stated = group.theirs.requests
        agreeing = [each for each in fits if stated is not None and group.requests + each.requests == stated]
        widths = sum(2 * (bound + each.slack_nano) + 1 for each in tried)
        spread = 2 * max(1, *(abs(each.candidate.total) for each in tried), 1)
        found = sorted({each.candidate for each in agreeing or fits}, key=lambda each: sort_key(each.explanation))
        return found, _SCALE * widths // spread

    def _bound(self, group: UsageGroup) -> int:
        """Return what rounding of the amounts that are stated can explain; a nano-dollar hides nothing."""
        return self._unit * group.theirs.lines if self._unit > 1 else 0

    def _value(self, group: UsageGroup, place: FindingLocation) -> None:
        """Compare quantities where the invoice states no amounts, at our prices."""
        difference, detail = _stated_difference(group)
        self.valued_nano += group.amount_nano + difference
        self.matched_nano += max(0, min(group.amount_nano + difference, group.amount_nano))
        item = Item(None, group.theirs.position, group.amount_nano, group.amount_nano + difference, difference)
        self.findings.add(FindingKey(Cause.QUANTITY, detail, *place), item)


_SCALE = 1_000_000


def _pairs(tried: Sequence[GroupHypothesis]) -> Iterable[GroupHypothesis]:
    for at, first in enumerate(tried):
        for second in tried[at + 1 :]:
            if first.candidate.explanation[0].cause is not second.candidate.explanation[0].cause:
                yield GroupHypothesis(
                    combined(first.candidate, second.candidate),
                    first.requests + second.requests,
                    first.slack_nano + second.slack_nano,
                )


def _plain_cause(group: UsageGroup) -> Cause | None:
    """Return what can be said without a guess of an amount for which nothing is put forward; None where nothing can."""
    standings = {each.standing for each in group.ours}
    if not standings:
        return Cause.MISSING_HERE
    if standings <= {Billability.UNPRICED, Billability.FAILED} and Billability.UNPRICED in standings:
        return Cause.UNPRICED_HERE
    if standings <= {Billability.UNKNOWN_ROUTE, Billability.FAILED} and Billability.UNKNOWN_ROUTE in standings:
        return Cause.UNKNOWN_ROUTE
    return None


def _place(key: GroupKey, group: UsageGroup) -> FindingLocation:
    """Return provider and model as we spell them, and the session."""
    provider = next((each.provider for each in group.ours), key.provider) if key.provider else ""
    model = next((each.model for each in group.ours), key.model) if key.model else ""
    return FindingLocation(provider, model, key.session)


def _stated_difference(group: UsageGroup) -> tuple[int, str]:
    """Return what the quantities that they state and ours differ by at our price, and which kinds: nothing where none are."""
    if not group.theirs.quantities:
        return 0, ""
    ours = _added([each.quantities for each in group.billed])
    theirs = stated_quantities(ours, group.theirs.quantities)
    if ours == theirs:
        return 0, ""
    rates = [each for each in group.billed if each.rate is not None]
    rate = max(rates, key=lambda each: each.requests).rate if rates else None
    before, after = (None if rate is None else exact_nano(each, 0, rate) for each in (ours, theirs))
    if before is None or after is None:
        raise UnvaluedUsageError(
            "the bill states quantities and no amounts, they differ from ours, and no price is known that says by how much:"
            " record it with `metering prices import` and `metering rate`, and reconcile again"
        )
    return round(after - before), kinds_that_differ(ours, theirs)


def _added(quantities: Sequence[Quantities]) -> Quantities:
    return Quantities(**{kind: sum(getattr(each, kind) for each in quantities) for kind in ALL_KINDS})
