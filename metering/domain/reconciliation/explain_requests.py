"""Why a request and its line differ: what is seen in them first, then the hypotheses.

Every nano-dollar of every difference ends in exactly one finding.
"""

from collections.abc import Sequence

from metering.domain.reconciliation.ambiguity import AmbiguityResolver
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import Candidate, CausePart
from metering.domain.reconciliation.findings import FindingKey, FindingLocation, Findings, Item
from metering.domain.reconciliation.invoices import Coverage, InvoiceLine
from metering.domain.reconciliation.period_shift import (
    LONGEST_SHIFT_MICROS,
    PeriodEdges,
    find_shift,
    format_shift,
    is_shifted_out,
)
from metering.domain.reconciliation.request_hypotheses import (
    AmountRange,
    Versions,
    candidates_of,
    hypotheses_of,
    kinds_that_differ,
    pairs_of,
    priced,
    stated_quantities,
    versions_of,
)
from metering.domain.reconciliation.requests import PENDING_MICROS, Billability, MeteredRequest
from pricing.rates import Rate

PLACEHOLDER_NANO = 10_000_000
"""What Hugging Face records for a request of a third party until its cost comes."""

LEAST_WITH_FACTOR = 3
"""One request may be any short factor dearer; three that share one hardly are by accident."""

_OF_STANDING = {
    Billability.OTHER_ROUTE: Cause.OTHER_ROUTE_BILLED,
    Billability.FAILED: Cause.FAILED_BILLED,
    Billability.UNPRICED: Cause.UNPRICED_HERE,
    Billability.UNKNOWN_ROUTE: Cause.UNKNOWN_ROUTE,
}


class RequestExplainer:
    """Takes what did not simply agree, and makes findings of it.

    ``as_of`` is when the report was made, ``unit_nano`` how finely it states amounts. ``ours_nano`` adds up what we charge for
    the requests that were taken, ``valued_nano`` what lines without an amount come to at our prices.
    """

    def __init__(self, coverage: Coverage, *, as_of: int, unit_nano: int, versions: Versions) -> None:
        self.findings = Findings()
        self.ours_nano = 0
        self.requests = 0
        self.matched_requests = 0
        self.valued_nano = 0
        self._coverage = coverage
        self._as_of = as_of
        self._unit = unit_nano
        self._versions = versions
        self._rates: dict[tuple[str, str, int], list[Rate]] = {}
        self._undecided = AmbiguityResolver(least=LEAST_WITH_FACTOR)
        self._edges = PeriodEdges(coverage.start, coverage.end)
        self._missing: list[MeteredRequest] = []
        self._observed: set[str] = set()

    def take(self, request: MeteredRequest, lines: Sequence[InvoiceLine], *, again: bool = False) -> None:
        """Take a request with the lines that name it; none where there is none.

        ``again``: its lines were another request's already.
        """
        inside = self._coverage.start <= request.time < self._coverage.end
        billed = request.standing == Billability.BILLED
        if inside and billed:
            self.ours_nano += request.amount_nano
            self.requests += 1
        if not lines:
            self._take_missing(request, again=again)
            return
        self.matched_requests += inside and billed
        kept = self._without_refunds(request, lines)
        if len(kept) > 1 and _sum(kept) != (request.amount_nano if billed and inside else 0):
            kept = self._without_duplicates(request, kept)
        if not kept:
            if inside and billed:
                self._take_missing(request)
            return
        if not billed:
            self._add(_OF_STANDING[Billability(request.standing)], request, kept, _sum(kept))
        elif not inside:
            self._edges.see_outside(request.time)
            self._add(Cause.PERIOD_EDGE, request, kept, _sum(kept))
        else:
            self._edges.see_inside(request.time)
            self._compare(request, kept)

    def take_line(self, line: InvoiceLine) -> None:
        """Take a line whose request was not found."""
        amount = line.amount_nano or 0
        cause = Cause.REFUND if amount < 0 else Cause.MISSING_HERE
        key = FindingKey(cause, provider=line.provider, model=line.model)
        self.findings.add(key, Item(None, line.position, None, amount, amount))

    def finish(self) -> Findings:
        """Settle what all differences together decide; return the findings."""
        self._settle_edges()
        self._undecided.settle(self.findings, frozenset(self._observed))
        return self.findings

    def _take_missing(self, request: MeteredRequest, *, again: bool = False) -> None:
        edges = self._edges
        near = min(request.time - edges.start, edges.end - request.time) < LONGEST_SHIFT_MICROS
        if again:
            self._add(Cause.MISSING_THERE, request, (), -request.amount_nano, detail="metered_twice")
        elif request.time > self._as_of - PENDING_MICROS:
            self._add(Cause.PENDING, request, (), -request.amount_nano)
        elif near:
            self._missing.append(request)
        else:
            self._add(Cause.MISSING_THERE, request, (), -request.amount_nano)

    def _settle_edges(self) -> None:
        shift = find_shift(self._edges, [request.time for request in self._missing])
        for request in self._missing:
            at_edge = bool(shift) and is_shifted_out(self._edges, request.time, shift)
            detail = format_shift(shift) if at_edge else ""
            self._add(Cause.PERIOD_EDGE if at_edge else Cause.MISSING_THERE, request, (), -request.amount_nano, detail=detail)

    def _without_refunds(self, request: MeteredRequest, lines: Sequence[InvoiceLine]) -> list[InvoiceLine]:
        for line in lines:
            if (line.amount_nano or 0) < 0:
                self._add(Cause.REFUND, request, [line], line.amount_nano or 0)
        return [line for line in lines if (line.amount_nano or 0) >= 0]

    def _without_duplicates(self, request: MeteredRequest, lines: list[InvoiceLine]) -> list[InvoiceLine]:
        """Return one of each: the same amount and quantities for the same request again is a duplicate."""
        kept: list[InvoiceLine] = []
        seen = set()
        for line in lines:
            content = (line.amount_nano, tuple(sorted(line.quantities.items())) if line.quantities else ())
            if content in seen:
                self._add(Cause.DUPLICATE_THERE, request, [line], line.amount_nano or 0)
            else:
                seen.add(content)
                kept.append(line)
        return kept

    def _compare(self, request: MeteredRequest, lines: Sequence[InvoiceLine]) -> None:
        stated = _stated(lines)
        if all(line.amount_nano is None for line in lines):
            self._value(request, lines, stated)
            return
        ours, theirs = request.amount_nano, _sum(lines)
        difference = theirs - ours
        if not difference:
            return
        item = Item(request.event_id, lines[0].position, ours, theirs, difference)
        if abs(difference) <= self._unit:
            self._add(Cause.ROUNDING, request, lines, difference)
        elif not theirs:
            self._add(Cause.NEVER_CHARGED, request, lines, difference)
        elif theirs == PLACEHOLDER_NANO and self._unit < PLACEHOLDER_NANO:
            self._add(Cause.PLACEHOLDER, request, lines, difference)
        else:
            fits = self._fitting(request, stated, theirs)
            self._undecided.add(FindingLocation(request.provider, request.model), fits, item, reach=self._unit + 1)

    def _fitting(self, request: MeteredRequest, stated: dict[str, int], theirs_nano: int) -> list[Candidate]:
        others, supposed = self._others(request), hypotheses_of(request, stated)
        within = AmountRange(theirs_nano - self._unit, theirs_nano + self._unit)
        is_fact = bool(stated and supposed)
        if is_fact:
            self._observed.add(supposed[0].name)
        fits = candidates_of(request, supposed, [] if is_fact else others, within) or pairs_of(
            request, supposed, others, within
        )
        if not fits and is_fact:
            # What the line states is a fact, also where it is not the whole of the difference.
            fact = supposed[0]
            fits = [Candidate((fact.part, CausePart(Cause.UNEXPLAINED)), (fact.amount_nano - request.amount_nano, 0))]
        return fits

    def _others(self, request: MeteredRequest) -> list[Rate]:
        """Return the other rates that a request might have been charged at; they are looked for once a model and rate."""
        key = (request.provider, request.model, 0 if request.rate is None else request.rate.id)
        others = self._rates.get(key)
        if others is None:
            found = versions_of(self._versions, request.provider, request.model, request.rate)
            others = self._rates[key] = [each for each in found if each is not request.rate]
        return others

    def _value(self, request: MeteredRequest, lines: Sequence[InvoiceLine], stated: dict[str, int]) -> None:
        """Compare quantities where no amount is stated, at our price."""
        theirs = stated_quantities(request.quantities, stated)
        amount = request.amount_nano if theirs == request.quantities else priced(theirs, request.rate)
        if amount is None:
            amount = request.amount_nano
        self.valued_nano += amount
        difference = amount - request.amount_nano
        self._add(Cause.QUANTITY, request, lines, difference, detail=kinds_that_differ(request.quantities, theirs))

    def _add(
        self, cause: Cause, request: MeteredRequest, lines: Sequence[InvoiceLine], amount_nano: int, *, detail: str = ""
    ) -> None:
        key = FindingKey(cause, detail, request.provider, request.model)
        counted = request.standing == Billability.BILLED
        theirs = _sum(lines) if lines else None
        position = lines[0].position if lines else None
        item = Item(request.event_id, position, request.amount_nano if counted else None, theirs, amount_nano)
        self.findings.add(key, item)


def _sum(lines: Sequence[InvoiceLine]) -> int:
    return sum(line.amount_nano or 0 for line in lines)


def _stated(lines: Sequence[InvoiceLine]) -> dict[str, int]:
    """Return what lines state of quantities, added up."""
    stated: dict[str, int] = {}
    for line in lines:
        for kind, count in line.quantities.items():
            stated[kind] = stated.get(kind, 0) + count
    return stated
