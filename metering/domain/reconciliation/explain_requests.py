"""Why a request and its line differ: first what both records show, then the hypotheses.

Every nano-dollar of every difference ends in exactly one finding.
"""

from collections.abc import Sequence

from metering.domain.reconciliation.ambiguity import AmbiguityResolver, DifferenceSlack
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.explanations import Candidate, CausePart
from metering.domain.reconciliation.findings import FindingKey, FindingLocation, Findings, Item
from metering.domain.reconciliation.invoices import Coverage, InvoiceLine
from metering.domain.reconciliation.period_shift import (
    MAX_SHIFT_MICROS,
    PeriodEdges,
    find_shift,
    format_shift,
    is_shifted_out,
)
from metering.domain.reconciliation.request_hypotheses import (
    AmountRange,
    RecordedRates,
    describe_quantity_difference,
    hypotheses_of,
    other_rates,
    paired_candidates,
    priced,
    single_candidates,
    stated_quantities,
)
from metering.domain.reconciliation.requests import PENDING_MICROS, Billability, MeteredRequest
from metering.domain.reconciliation.rounding import is_rounding
from pricing.rates import Rate

PLACEHOLDER_NANO = 10_000_000
"""What Hugging Face records for a request to a partner until its cost is known."""

MIN_REQUESTS_OF_FACTOR = 3
"""Any single request can differ by some short factor; three that share one hardly do by accident."""

_CAUSE_OF = {
    Billability.OTHER_ROUTE: Cause.OTHER_ROUTE_BILLED,
    Billability.FAILED: Cause.FAILED_BILLED,
    Billability.UNPRICED: Cause.UNPRICED_HERE,
    Billability.UNKNOWN_ROUTE: Cause.UNKNOWN_ROUTE,
}


class RequestExplainer:
    """Makes findings of the requests and lines that did not agree at first sight.

    ``as_of`` is when the invoice was issued, ``unit_nano`` the unit of its amounts. ``ours_nano`` adds up the charges of the
    requests that were added, ``valued_nano`` the value at our prices of lines that state no amount.
    """

    def __init__(self, coverage: Coverage, *, as_of: int, unit_nano: int, recorded: RecordedRates) -> None:
        self.findings = Findings()
        self.ours_nano = 0
        self.requests = 0
        self.matched_requests = 0
        self.valued_nano = 0
        self._coverage = coverage
        self._as_of = as_of
        self._unit_nano = unit_nano
        self._recorded = recorded
        self._rates: dict[tuple[str, str, int], list[Rate]] = {}
        self._resolver = AmbiguityResolver(min_pairs=MIN_REQUESTS_OF_FACTOR)
        self._edges = PeriodEdges(coverage.start, coverage.end)
        self._missing: list[MeteredRequest] = []
        self._observed: set[str] = set()

    def add(self, request: MeteredRequest, lines: Sequence[InvoiceLine], *, is_repeat: bool = False) -> None:
        """Add a request with the lines that name it, if any. ``is_repeat``: its lines belong to another request already."""
        inside = self._coverage.start <= request.time < self._coverage.end
        billable = request.billability == Billability.BILLED
        if inside and billable:
            self.ours_nano += request.amount_nano
            self.requests += 1
        if not lines:
            self._add_missing(request, is_repeat=is_repeat)
            return
        self.matched_requests += inside and billable
        kept = self._without_refunds(request, lines)
        if len(kept) > 1 and _sum(kept) != (request.amount_nano if billable and inside else 0):
            kept = self._without_duplicates(request, kept)
        if not kept:
            if inside and billable:
                self._add_missing(request)
            return
        if not billable:
            self._add_finding(_CAUSE_OF[Billability(request.billability)], request, kept, _sum(kept))
        elif not inside:
            self._edges.see_outside(request.time)
            self._add_finding(Cause.PERIOD_EDGE, request, kept, _sum(kept))
        else:
            self._edges.see_inside(request.time)
            self._compare(request, kept)

    def add_line(self, line: InvoiceLine) -> None:
        """Add a line whose request was not found."""
        amount = line.amount_nano or 0
        cause = Cause.REFUND if line.is_refund else Cause.MISSING_HERE
        key = FindingKey(cause, provider=line.provider, model=line.model)
        self.findings.add(key, Item(None, line.position, None, amount, amount))

    def finish(self) -> Findings:
        """Resolve what depends on all differences together; return the findings."""
        self._resolve_edges()
        self._resolver.resolve(self.findings, frozenset(self._observed))
        return self.findings

    def _add_missing(self, request: MeteredRequest, *, is_repeat: bool = False) -> None:
        edges = self._edges
        is_near_edge = min(request.time - edges.start, edges.end - request.time) < MAX_SHIFT_MICROS
        if is_repeat:
            self._add_finding(Cause.MISSING_THERE, request, (), -request.amount_nano, detail="metered_twice")
        elif request.time > self._as_of - PENDING_MICROS:
            self._add_finding(Cause.PENDING, request, (), -request.amount_nano)
        elif is_near_edge:
            self._missing.append(request)
        else:
            self._add_finding(Cause.MISSING_THERE, request, (), -request.amount_nano)

    def _resolve_edges(self) -> None:
        shift = find_shift(self._edges, [request.time for request in self._missing])
        for request in self._missing:
            at_edge = bool(shift) and is_shifted_out(self._edges, request.time, shift)
            cause, detail = (Cause.PERIOD_EDGE, format_shift(shift)) if at_edge else (Cause.MISSING_THERE, "")
            self._add_finding(cause, request, (), -request.amount_nano, detail=detail)

    def _without_refunds(self, request: MeteredRequest, lines: Sequence[InvoiceLine]) -> list[InvoiceLine]:
        for line in lines:
            if line.is_refund:
                self._add_finding(Cause.REFUND, request, [line], line.amount_nano or 0)
        return [line for line in lines if not line.is_refund]

    def _without_duplicates(self, request: MeteredRequest, lines: list[InvoiceLine]) -> list[InvoiceLine]:
        """Return the lines without duplicates: lines of the same request with the same amount and the same quantities."""
        kept: list[InvoiceLine] = []
        seen = set()
        for line in lines:
            content = (line.amount_nano, tuple(sorted(line.quantities.items())) if line.quantities else ())
            if content in seen:
                self._add_finding(Cause.DUPLICATE_THERE, request, [line], line.amount_nano or 0)
            else:
                seen.add(content)
                kept.append(line)
        return kept

    def _compare(self, request: MeteredRequest, lines: Sequence[InvoiceLine]) -> None:
        stated = _stated_quantities(lines)
        if all(line.amount_nano is None for line in lines):
            self._value(request, lines, stated)
            return
        ours, theirs = request.amount_nano, _sum(lines)
        difference = theirs - ours
        location = FindingLocation(request.provider, request.model)
        item = Item(request.event_id, lines[0].position, ours, theirs, difference)
        if is_rounding(difference, self._unit_nano):
            self.findings.add_rounding(location, item, slack_nano=self._unit_nano)
        elif not theirs:
            self._add_finding(Cause.NEVER_CHARGED, request, lines, difference)
        elif theirs == PLACEHOLDER_NANO and self._unit_nano < PLACEHOLDER_NANO:
            self._add_finding(Cause.PLACEHOLDER, request, lines, difference)
        else:
            # The product of a charge and a factor is rounded up like a charge, and stated in the invoice's unit.
            slack = DifferenceSlack(self._unit_nano, factor_nano=self._unit_nano + 1)
            self._resolver.add(location, self._candidates(request, stated, theirs), item, slack)

    def _candidates(self, request: MeteredRequest, stated: dict[str, int], theirs_nano: int) -> list[Candidate]:
        rates, hypotheses = self._other_rates(request), hypotheses_of(request, stated)
        within = AmountRange(theirs_nano - self._unit_nano, theirs_nano + self._unit_nano)
        is_fact = bool(stated and hypotheses)
        if is_fact:
            self._observed.add(hypotheses[0].name)
        fits = single_candidates(request, hypotheses, [] if is_fact else rates, within)
        fits = fits or paired_candidates(request, hypotheses, rates, within)
        if not fits and is_fact:
            # What the line states is a fact, even if it does not explain the whole difference.
            fact = hypotheses[0]
            fits = [Candidate((fact.part, CausePart(Cause.UNEXPLAINED)), (fact.amount_nano - request.amount_nano, 0))]
        return fits

    def _other_rates(self, request: MeteredRequest) -> list[Rate]:
        """Return the other rates that a request could have been charged at, found once per model and rate."""
        key = (request.provider, request.model, 0 if request.rate is None else request.rate.id)
        rates = self._rates.get(key)
        if rates is None:
            known = other_rates(self._recorded, request.provider, request.model, request.rate)
            rates = self._rates[key] = [each for each in known if each is not request.rate]
        return rates

    def _value(self, request: MeteredRequest, lines: Sequence[InvoiceLine], stated: dict[str, int]) -> None:
        """Compare quantities at our price, where the lines state no amount."""
        theirs = stated_quantities(request.quantities, stated)
        amount = request.amount_nano if theirs == request.quantities else priced(theirs, request.rate)
        if amount is None:
            amount = request.amount_nano
        self.valued_nano += amount
        detail = describe_quantity_difference(request.quantities, theirs)
        self._add_finding(Cause.QUANTITY, request, lines, amount - request.amount_nano, detail=detail)

    def _add_finding(
        self, cause: Cause, request: MeteredRequest, lines: Sequence[InvoiceLine], amount_nano: int, *, detail: str = ""
    ) -> None:
        key = FindingKey(cause, detail, request.provider, request.model)
        ours = request.amount_nano if request.billability == Billability.BILLED else None
        theirs = _sum(lines) if lines else None
        position = lines[0].position if lines else None
        self.findings.add(key, Item(request.event_id, position, ours, theirs, amount_nano))


def _sum(lines: Sequence[InvoiceLine]) -> int:
    return sum(line.amount_nano or 0 for line in lines)


def _stated_quantities(lines: Sequence[InvoiceLine]) -> dict[str, int]:
    """Return the quantities that lines state, added up."""
    stated: dict[str, int] = {}
    for line in lines:
        for kind, count in line.quantities.items():
            stated[kind] = stated.get(kind, 0) + count
    return stated
