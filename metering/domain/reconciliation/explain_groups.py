"""Why the sums of a group differ: first quantities that the invoice states, then the hypotheses.

At this grain an explanation fits an amount, not a request. It is named only if it is the one that fits, and if so few were
tried that fitting by chance is unlikely. Otherwise the amount stays unexplained, and what fits is listed with it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from metering.domain.errors import DomainError
from metering.domain.reconciliation.ambiguity import NO_FACTOR, AmbiguityResolver, DifferenceSlack
from metering.domain.reconciliation.causes import Cause, CauseBasis
from metering.domain.reconciliation.explanations import Candidate, combined, format_explanation, sort_key
from metering.domain.reconciliation.findings import FindingKey, FindingLocation, Findings, Item
from metering.domain.reconciliation.group_hypotheses import HYPOTHESES, GroupContext, GroupHypothesis, exact_nano
from metering.domain.reconciliation.invoices import Coverage, InvoiceLine
from metering.domain.reconciliation.readings import OurStatement, TotalReading
from metering.domain.reconciliation.request_hypotheses import (
    RecordedRates,
    describe_quantity_difference,
    stated_quantities,
)
from metering.domain.reconciliation.requests import Billability
from metering.domain.reconciliation.rounding import charge_slack, is_rounding, line_slack
from metering.domain.reconciliation.usage_groups import EdgeUsage, GroupKey, MeteredUsage, UsageGroup, dimensions_of, grouped
from pricing.quantities import ALL_KINDS, Quantities

MAX_CHANCE_PERCENT = 5
"""Nothing is named if the chance that something fits by accident is higher."""


class UnvaluedUsageError(DomainError):
    """An invoice without amounts states usage that has no price: unknown is neither zero nor agreement."""

    code = "unvalued_usage"


class StatementTotal(NamedTuple):
    """What a pasted total may be: our statement, None if it cannot be one, and the reading that a person chose, if any."""

    statement: OurStatement | None = None
    reading: str = ""


NO_STATEMENT = StatementTotal()


class GroupExplainer:
    """Compares the sums of both sides. ``known`` are further candidates for an invoice's total: credits and fees.

    ``ours_nano`` adds up our charges, ``valued_nano`` the value at our prices of lines without an amount; ``matched_nano`` is
    how much of the billed amount was metered as well, group by group. ``other_nano`` is the part of a pasted total that was
    read as what our statement has in addition to usage.
    """

    def __init__(
        self,
        coverage: Coverage,
        *,
        unit_nano: int,
        recorded: RecordedRates,
        known: Sequence[Candidate] = (),
        total: StatementTotal = NO_STATEMENT,
    ) -> None:
        self.findings = Findings()
        self.ours_nano = 0
        self.requests = 0
        self.matched_nano = 0
        self.valued_nano = 0
        self.other_nano = 0
        self._coverage = coverage
        self._unit_nano = unit_nano
        self._recorded = recorded
        self._known = [GroupHypothesis(each) for each in known]
        self._total = total
        self._resolver = AmbiguityResolver()

    def explain(self, lines: Iterable[InvoiceLine], usage: Iterable[MeteredUsage], edges: Iterable[EdgeUsage]) -> Findings:
        """Return the findings of an invoice's usage lines."""
        kept = [line for line in lines if not self._is_refund(line) and not self._is_outside(line)]
        dimensions = dimensions_of(kept)
        for key, group in grouped(dimensions, kept, usage, [] if "day" in dimensions else edges).items():
            self._add(key, group, whole=not dimensions)
        self._resolver.resolve(self.findings)
        return self.findings

    def _is_refund(self, line: InvoiceLine) -> bool:
        amount = line.amount_nano or 0
        key = FindingKey(Cause.REFUND, "", line.provider, line.model, line.session)
        if line.is_refund:
            self.findings.add(key, Item(None, line.position, None, amount, amount))
        return line.is_refund

    def _is_outside(self, line: InvoiceLine) -> bool:
        """Return whether a line is about a day outside of the period, and add it as such: that is what the line states."""
        if line.amount_nano is None or self._coverage.touches_day(line.day):
            return False
        key = FindingKey(Cause.PERIOD_EDGE, "", line.provider, line.model, line.session)
        self.findings.add(key, Item(None, line.position, None, line.amount_nano, line.amount_nano))
        return True

    def _add(self, key: GroupKey, group: UsageGroup, *, whole: bool) -> None:
        ours, theirs = group.amount_nano, group.theirs
        self.ours_nano += ours
        self.requests += group.requests
        location = _location(key, group)
        if not theirs.lines:
            self.findings.add(FindingKey(Cause.MISSING_THERE, "", *location), Item(None, None, ours, None, -ours))
            return
        if theirs.amount_nano is None:
            self._value(group, location)
            return
        if whole and self._total.statement is not None:
            reading = self._total.reading or self._likely_reading(group, self._total.statement)
            whole = not self._total.reading and reading == TotalReading.USAGE
            if reading == TotalReading.STATEMENT:
                self._set_apart(group, self._total.statement)
        self.matched_nano += max(0, min(theirs.amount_nano, ours))
        self._compare(group, location, whole=whole)

    def _likely_reading(self, group: UsageGroup, statement: OurStatement) -> TotalReading:
        """Return what a total probably is: usage if it agrees with that or a cause explains it, otherwise the statement."""
        total, usage = group.theirs.amount_nano or 0, group.amount_nano
        slack = self._slack(group)
        if is_rounding(total - usage, slack):
            return TotalReading.USAGE
        if is_rounding(total - statement.exact_nano, slack):
            return TotalReading.STATEMENT
        fits, is_named = self._fitting(group, total - usage, whole=True)
        return TotalReading.USAGE if fits and is_named else TotalReading.STATEMENT

    def _set_apart(self, group: UsageGroup, statement: OurStatement) -> None:
        """Add what our statement has in addition to usage, and leave the rest of the total as the amount of the group.

        Unless the total agrees, the rounding of our statement is set apart too, so that the rest is the difference of totals.
        """
        total = group.theirs.amount_nano or 0
        agrees = total <= 0 or is_rounding(total - statement.exact_nano, self._slack(group))
        for part in statement.parts(group.amount_nano, with_rounding=not agrees):
            item = Item(None, group.theirs.position, group.amount_nano, total, part.amount_nano)
            self.findings.add(FindingKey(part.cause, part.detail), item, CauseBasis.INFERRED)
            self.other_nano += part.amount_nano
        group.theirs.amount_nano = total - self.other_nano

    def _compare(self, group: UsageGroup, location: FindingLocation, *, whole: bool) -> None:
        ours, theirs = group.amount_nano, group.theirs
        difference = (theirs.amount_nano or 0) - ours
        quantity, detail = _stated_difference(group)
        item = Item(None, theirs.position, ours, theirs.amount_nano, difference)
        stated_slack = self._line_slack(group)
        # A factor applies to each charge, which is rounded up once per request; the invoice rounds its amounts once more.
        factor_slack = stated_slack + group.requests
        if quantity and not is_rounding(difference, stated_slack):
            self.findings.add(FindingKey(Cause.QUANTITY, detail, *location), item._replace(amount_nano=quantity))
            item, factor_slack = item._replace(amount_nano=difference - quantity), NO_FACTOR
        slack = self._slack(group)
        if is_rounding(item.amount_nano, slack):
            self.findings.add_rounding(location, item, slack_nano=slack)
            return
        fits, is_named = self._fitting(group, item.amount_nano, whole=whole)
        plain_cause = None if fits and is_named else _plain_cause(group)
        if plain_cause is not None:
            self.findings.add(FindingKey(plain_cause, "", *location), item)
            return
        names = () if is_named else tuple(format_explanation(each.explanation) for each in fits)
        difference_slack = DifferenceSlack(stated_slack, factor_slack)
        self._resolver.add(location, fits if is_named else (), item, difference_slack, alternatives=names)

    def _fitting(self, group: UsageGroup, difference: int, *, whole: bool) -> tuple[list[Candidate], bool]:
        """Return the candidates that fit, alone or else in pairs, and whether fitting is more than chance."""
        context = GroupContext(group, self._recorded, self._coverage)
        tried = [each for hypothesis in HYPOTHESES for each in hypothesis(context)]
        tried = [each for each in [*tried, *(self._known if whole else [])] if each.candidate.total]
        fits, chance = self._fitting_among(group, difference, tried)
        if not fits:
            pairs = list(_pairs([each for each in tried if not each.narrow]))
            fits, chance = self._fitting_among(group, difference, pairs)
        return fits, chance * 100 <= MAX_CHANCE_PERCENT * _PPM

    def _fitting_among(
        self, group: UsageGroup, difference: int, tried: Sequence[GroupHypothesis]
    ) -> tuple[list[Candidate], int]:
        """Return the candidates that fit a difference, sign included, and the chance (ppm) that one fits by accident."""
        slack = self._line_slack(group)
        fits = [each for each in tried if abs(each.candidate.total - difference) <= slack + each.slack_nano]
        stated = group.theirs.requests
        agreeing = [each for each in fits if stated is not None and group.requests + each.requests == stated]
        widths = sum(2 * (slack + each.slack_nano) + 1 for each in tried)
        spread = 2 * max(1, *(abs(each.candidate.total) for each in tried), 1)
        candidates = sorted({each.candidate for each in agreeing or fits}, key=lambda each: sort_key(each.explanation))
        return candidates, _PPM * widths // spread

    def _slack(self, group: UsageGroup) -> int:
        return self._line_slack(group) + (charge_slack(group.requests) if group.billable else 0)

    def _line_slack(self, group: UsageGroup) -> int:
        return line_slack(group.theirs.lines, self._unit_nano)

    def _value(self, group: UsageGroup, location: FindingLocation) -> None:
        """Compare quantities at our prices, where the invoice states no amounts."""
        difference, detail = _stated_difference(group)
        self.valued_nano += group.amount_nano + difference
        self.matched_nano += max(0, min(group.amount_nano + difference, group.amount_nano))
        item = Item(None, group.theirs.position, group.amount_nano, group.amount_nano + difference, difference)
        self.findings.add(FindingKey(Cause.QUANTITY, detail, *location), item)


_PPM = 1_000_000


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
    """Return the cause that the metered usage of a group shows without a hypothesis; None if it shows none."""
    found = {each.billability for each in group.ours}
    if not found:
        return Cause.MISSING_HERE
    if found <= {Billability.UNPRICED, Billability.FAILED} and Billability.UNPRICED in found:
        return Cause.UNPRICED_HERE
    if found <= {Billability.UNKNOWN_ROUTE, Billability.FAILED} and Billability.UNKNOWN_ROUTE in found:
        return Cause.UNKNOWN_ROUTE
    return None


def _location(key: GroupKey, group: UsageGroup) -> FindingLocation:
    """Return provider and model in our spelling, and the session."""
    provider = next((each.provider for each in group.ours), key.provider) if key.provider else ""
    model = next((each.model for each in group.ours), key.model) if key.model else ""
    return FindingLocation(provider, model, key.session)


def _stated_difference(group: UsageGroup) -> tuple[int, str]:
    """Return the value at our price of the difference in quantities, and which kinds differ; 0 if no quantities are stated."""
    if not group.theirs.quantities:
        return 0, ""
    ours = _sum_of([each.quantities for each in group.billable])
    theirs = stated_quantities(ours, group.theirs.quantities)
    if ours == theirs:
        return 0, ""
    rated = [each for each in group.billable if each.rate is not None]
    rate = max(rated, key=lambda each: each.requests).rate if rated else None
    before, after = (None if rate is None else exact_nano(each, 0, rate) for each in (ours, theirs))
    if before is None or after is None:
        raise UnvaluedUsageError(
            "the invoice states quantities without amounts that differ from the metered ones, and no price is known to value"
            " the difference; add the price with `metering prices import` and `metering rate`, then reconcile again"
        )
    return round(after - before), describe_quantity_difference(ours, theirs)


def _sum_of(quantities: Sequence[Quantities]) -> Quantities:
    return Quantities(**{kind: sum(getattr(each, kind) for each in quantities) for kind in ALL_KINDS})
