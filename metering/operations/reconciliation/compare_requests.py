"""Compare an invoice with metered usage request by request. Both sides stream by; only requests that differ are examined."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from sqlalchemy import Connection

from metering.domain.reconciliation.explain_requests import RequestExplainer
from metering.domain.reconciliation.invoices import Coverage, InvoiceLine
from metering.domain.reconciliation.pairing import PairedRequest, Pairing, RequestSummary
from metering.domain.reconciliation.period_shift import MAX_SHIFT_MICROS
from metering.domain.reconciliation.records import Invoice
from metering.domain.reconciliation.requests import SEARCH_MARGIN_MICROS, MeteredRequest, billability_of
from metering.domain.usage.series import SeriesKey
from metering.operations.prices.known_rates import KnownRates
from metering.operations.reconciliation.comparison import Comparison
from metering.operations.steps.require_events import require_events
from metering.storage.reconciliation.invoices import brief_lines, lines_at, states_quantities, usage_lines
from metering.storage.reconciliation.metered_requests import RequestDetails, RequestRow, request_details, request_rows
from metering.storage.usage.series import series_of_account
from pricing.quantities import Quantities

_CHUNK = 5_000
_NOT_READ = Quantities()


def compare_requests(connection: Connection, invoice: Invoice, rates: KnownRates, usage_nano: int) -> Comparison:
    """Return the comparison; ``usage_nano`` is the sum of the invoice's usage lines.

    Raises EventsRetiredError if events of the period were retired.
    """
    coverage = invoice.coverage
    require_events(connection, coverage.start, coverage.end, "an invoice by request")
    series = {number: key for key, number in series_of_account(connection, invoice.account_id).items()}
    pairing = Pairing(brief_lines(connection, invoice.id))
    explainer = RequestExplainer(coverage, as_of=invoice.issued_at, unit_nano=invoice.unit_nano, recorded=rates.by_model)
    start, end = coverage.start - SEARCH_MARGIN_MICROS, coverage.end + SEARCH_MARGIN_MICROS
    rows = request_rows(connection, invoice.account_id, start, end)
    pairs = pairing.pair(
        _summaries(rows, series, coverage),
        inner=(coverage.start + MAX_SHIFT_MICROS, coverage.end - MAX_SHIFT_MICROS),
        period=(coverage.start, coverage.end),
    )
    with_quantities = states_quantities(connection, invoice.id)
    while chunk := list(islice(pairs, _CHUNK)):
        positions = [position for pair in chunk for position in pair.positions]
        if with_quantities:
            lines = lines_at(connection, invoice.id, positions)
        else:
            # The pairing has the amounts of the lines, and nothing else of them is needed.
            lines = {each: InvoiceLine(position=each, amount_nano=pairing.amount_at(each)) for each in positions}
        _explain(connection, chunk, lines, explainer, series, rates)
    unmatched_nano = _explain_unmatched_lines(connection, invoice, pairing, explainer)
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


def _summaries(rows: Iterable[RequestRow], series: Mapping[int, SeriesKey], coverage: Coverage) -> Iterator[RequestSummary]:
    """Yield requests with their billability, except those of providers that the invoice does not cover."""
    known: dict[tuple[int, int], int] = {}
    for event_id, time, series_id, amount, grade, inference_id, response_id, own_id in rows:
        billability = known.get((series_id, grade))
        if billability is None:
            billability = known[series_id, grade] = _billability(series.get(series_id), grade, coverage)
        if billability != _NOT_COVERED:
            yield event_id, time, series_id, billability, amount, inference_id, response_id, own_id


_NOT_COVERED = -1


def _billability(key: SeriesKey | None, grade: int, coverage: Coverage) -> int:
    if key is None or (coverage.provider and key.provider != coverage.provider):
        return _NOT_COVERED
    return int(billability_of(key.route, grade, coverage.routes))


def _explain(
    connection: Connection,
    pairs: list[PairedRequest],
    lines: Mapping[int, InvoiceLine],
    explainer: RequestExplainer,
    series: Mapping[int, SeriesKey],
    rates: KnownRates,
) -> None:
    differing = {pair.event_id: pair.event_time for pair in pairs if _differs(pair, lines)}
    details = request_details(connection, differing) if differing else {}
    for pair in pairs:
        request = _request(pair, series[pair.series_id], details.get(pair.event_id), rates)
        explainer.add(request, [lines[position] for position in pair.positions], is_repeat=pair.is_repeat)


def _differs(pair: PairedRequest, lines: Mapping[int, InvoiceLine]) -> bool:
    """Return whether a line states quantities or a different amount: only then the request's quantities are needed."""
    return any(lines[each].amount_nano != pair.amount_nano or lines[each].quantities for each in pair.positions)


def _request(pair: PairedRequest, key: SeriesKey, details: RequestDetails | None, rates: KnownRates) -> MeteredRequest:
    return MeteredRequest(
        event_id=pair.event_id,
        time=pair.event_time,
        provider=key.provider,
        model=key.model,
        billability=pair.billability,
        amount_nano=pair.amount_nano,
        quantities=_NOT_READ if details is None else details.quantities,
        rate=None if details is None else rates.by_id.get(details.rate_id),
    )


def _explain_unmatched_lines(connection: Connection, invoice: Invoice, pairing: Pairing, explainer: RequestExplainer) -> int:
    """Explain the lines that found no request; return the sum of their amounts."""
    unmatched_nano = 0
    unmatched = pairing.unmatched()
    while positions := list(islice(unmatched, _CHUNK)):
        for line in lines_at(connection, invoice.id, positions).values():
            unmatched_nano += line.amount_nano or 0
            explainer.add_line(line)
    for line in usage_lines(connection, invoice.id, naming_requests=False):
        unmatched_nano += line.amount_nano or 0
        explainer.add_line(line)
    return unmatched_nano
