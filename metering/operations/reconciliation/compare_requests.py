"""Hold a bill against our usage request by request: both stream by, and only what does not simply agree is looked at."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from sqlalchemy import Connection

from metering.domain.reconciliation.explain_requests import RequestExplainer
from metering.domain.reconciliation.invoices import Coverage, InvoiceLine
from metering.domain.reconciliation.pairing import Brief, Paired, Pairing
from metering.domain.reconciliation.period_shift import LONGEST_SHIFT_MICROS
from metering.domain.reconciliation.records import Invoice
from metering.domain.reconciliation.requests import REACH_MICROS, MeteredRequest, billability_of
from metering.domain.usage.series import SeriesKey
from metering.operations.prices.known_rates import KnownRates
from metering.operations.reconciliation.comparison import Comparison
from metering.operations.steps.require_events import require_events
from metering.storage.reconciliation.invoices import brief_lines, lines_at, states_quantities, usage_lines
from metering.storage.reconciliation.metered_requests import RequestDetails, RequestRow, request_details, request_rows
from metering.storage.usage.series import series_of_account
from pricing.quantities import Quantities

_AT_ONCE = 5_000
NOT_ASKED = Quantities()


def compare_requests(connection: Connection, invoice: Invoice, versions: KnownRates, usage_nano: int) -> Comparison:
    """Return what is found; ``usage_nano`` is what the bill's usage lines come to.

    Raises EventsRetiredError for a period of which events were retired.
    """
    coverage = invoice.coverage
    require_events(connection, coverage.start, coverage.end, "a bill of single requests")
    known = {number: key for key, number in series_of_account(connection, invoice.account_id).items()}
    pairing = Pairing(brief_lines(connection, invoice.id))
    explainer = RequestExplainer(coverage, as_of=invoice.issued_at, unit_nano=invoice.unit_nano, versions=versions.by_model)
    rows = request_rows(connection, invoice.account_id, coverage.start - REACH_MICROS, coverage.end + REACH_MICROS)
    pairs = pairing.pair(
        _briefs(rows, known, coverage),
        inner=(coverage.start + LONGEST_SHIFT_MICROS, coverage.end - LONGEST_SHIFT_MICROS),
        period=(coverage.start, coverage.end),
    )
    with_quantities = states_quantities(connection, invoice.id)
    while part := list(islice(pairs, _AT_ONCE)):
        positions = [position for pair in part for position in pair.positions]
        if with_quantities:
            lines = lines_at(connection, invoice.id, positions)
        else:
            # What the pairing holds of a line is all that is asked of it then.
            lines = {each: InvoiceLine(position=each, amount_nano=pairing.amount_at(each)) for each in positions}
        _explain(connection, part, lines, explainer, known, versions)
    unmatched_nano = _explain_lines(connection, invoice, pairing, explainer)
    if invoice.lines_nano is None:
        usage_nano = explainer.valued_nano
    return Comparison(
        findings=explainer.finish(),
        ours_nano=pairing.agreed_nano + explainer.ours_nano,
        requests=pairing.agreed_requests + explainer.requests,
        matched_requests=pairing.agreed_requests + explainer.matched_requests,
        usage_nano=usage_nano,
        matched_nano=usage_nano - unmatched_nano,
        valued=invoice.lines_nano is None,
    )


def _briefs(rows: Iterable[RequestRow], known: Mapping[int, SeriesKey], coverage: Coverage) -> Iterator[Brief]:
    """Yield requests with their standing; those of providers that the bill is not about are passed over."""
    standings: dict[tuple[int, int], int] = {}
    for event_id, time, series_id, amount, grade, inference_id, response_id, own_id in rows:
        standing = standings.get((series_id, grade))
        if standing is None:
            standing = standings[series_id, grade] = _standing(known.get(series_id), grade, coverage)
        if standing != _NOT_COVERED:
            yield event_id, time, series_id, standing, amount, inference_id, response_id, own_id


_NOT_COVERED = -1


def _standing(key: SeriesKey | None, grade: int, coverage: Coverage) -> int:
    if key is None or (coverage.provider and key.provider != coverage.provider):
        return _NOT_COVERED
    return int(billability_of(key.route, grade, coverage.routes))


def _explain(
    connection: Connection,
    pairs: list[Paired],
    lines: Mapping[int, InvoiceLine],
    explainer: RequestExplainer,
    known: Mapping[int, SeriesKey],
    versions: KnownRates,
) -> None:
    asked = {pair.event_id: pair.event_time for pair in pairs if _differs(pair, lines)}
    details = request_details(connection, asked) if asked else {}
    for pair in pairs:
        request = _request(pair, known[pair.series_id], details.get(pair.event_id), versions)
        explainer.take(request, [lines[position] for position in pair.positions], again=pair.again)


def _differs(pair: Paired, lines: Mapping[int, InvoiceLine]) -> bool:
    """Whether a line states another amount than the request's, or quantities: only then it matters what the request used."""
    return any(lines[each].amount_nano != pair.amount_nano or lines[each].quantities for each in pair.positions)


def _request(pair: Paired, key: SeriesKey, found: RequestDetails | None, versions: KnownRates) -> MeteredRequest:
    return MeteredRequest(
        event_id=pair.event_id,
        time=pair.event_time,
        provider=key.provider,
        model=key.model,
        standing=pair.standing,
        amount_nano=pair.amount_nano,
        quantities=NOT_ASKED if found is None else found.quantities,
        rate=None if found is None else versions.by_id.get(found.rate_id),
    )


def _explain_lines(connection: Connection, invoice: Invoice, pairing: Pairing, explainer: RequestExplainer) -> int:
    """Explain the lines that found no request; return what they come to."""
    unmatched_nano = 0
    left = pairing.left()
    while positions := list(islice(left, _AT_ONCE)):
        for line in lines_at(connection, invoice.id, positions).values():
            unmatched_nano += line.amount_nano or 0
            explainer.take_line(line)
    for line in usage_lines(connection, invoice.id, naming_requests=False):
        unmatched_nano += line.amount_nano or 0
        explainer.take_line(line)
    return unmatched_nano
