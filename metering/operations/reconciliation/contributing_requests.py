"""The metered requests that an explanation of sums is about, found in the event log: the evidence for a dispute about a sum.

They are looked up on demand, among the events that the run could see. Events that arrived after the run, or were assigned to
the account after it, are left out.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from metering.domain.instants import MICROS_PER_DAY
from metering.domain.reconciliation.causes import Cause
from metering.domain.reconciliation.contributing_requests import (
    ExplanationContext,
    RequestContribution,
    contribution_of,
    names_requests,
    needs_quantities,
)
from metering.domain.reconciliation.explanations import CausePart, format_explanation, read_explanation
from metering.domain.reconciliation.findings import FindingLocation
from metering.domain.reconciliation.invoices import Grain
from metering.domain.reconciliation.period_shift import MAX_SHIFT_MICROS
from metering.domain.reconciliation.records import Invoice, Reconciliation, Variance, VarianceHistory
from metering.domain.reconciliation.requests import Billability, MeteredRequest, billability_of
from metering.domain.reconciliation.usage_groups import GroupKey, dimensions_of, key_for, session_of
from metering.domain.usage.events import UNKNOWN
from metering.domain.usage.series import SeriesKey
from metering.operations.prices.known_rates import KnownRates, known_rates
from metering.storage.prices.price_tables import load_tables
from metering.storage.reconciliation.invoices import lines_at, usage_lines
from metering.storage.reconciliation.metered_requests import (
    RequestRow,
    first_event_after,
    request_details,
    request_rows,
    usage_rows,
)
from metering.storage.reconciliation.reconciliations import items_of
from metering.storage.usage.assigned_events import assigned_since
from metering.storage.usage.retired_months import retired_between
from metering.storage.usage.series import series_of_account
from pricing.quantities import Quantities
from pricing.rates import Rate

_CHUNK = 5_000
_NOT_READ = Quantities()


class ContributingRequest(NamedTuple):
    """A request that an explanation (in its text form) is about, and what it adds to it in nano-USD, None if unknown."""

    explanation: str
    event_id: int
    ours_nano: int | None
    amount_nano: int | None


def contributing_requests(connection: Connection, found: VarianceHistory) -> Iterator[ContributingRequest]:
    """Yield the requests that would explain a variance of sums, explanation by explanation, by their times.

    None at the grain of requests, where every item names its own request, and none where events of the period were retired.
    """
    variance, run, invoice = found.variance, found.run, found.invoice
    parts = [part for part in _parts(variance) if names_requests(part)]
    if invoice.grain == Grain.REQUEST or not parts:
        return
    rates = known_rates(load_tables(connection), invoice.account_id)
    log = _Log(connection, variance, run, invoice, rates)
    context = ExplanationContext(invoice.coverage, rates.by_model, _charged_rates(connection, invoice, rates))
    for part in parts:
        for request, contribution in log.contributions_to(part, context):
            ours = request.amount_nano if request.billability == Billability.BILLED else None
            yield ContributingRequest(format_explanation((part,)), request.event_id, ours, contribution.amount_nano)


def _parts(variance: Variance) -> list[CausePart]:
    """Return the cause of a variance, or every alternative of an unexplained one."""
    if variance.cause != Cause.UNEXPLAINED:
        return [CausePart(Cause(variance.cause), variance.detail)]
    return list(dict.fromkeys(part for each in variance.alternatives for part in read_explanation(each)))


def _charged_rates(connection: Connection, invoice: Invoice, rates: KnownRates) -> dict[tuple[str, str], Rate]:
    """Return the rate that each model is charged at on the routes of an invoice."""
    rows = usage_rows(connection, invoice.account_id, invoice.start, invoice.end)
    billed = [row for row in rows if row.rate_id in rates.by_id and row.route in invoice.routes]
    return {(row.provider, row.model): rates.by_id[row.rate_id] for row in billed}


class _Log:
    """The account's requests in the usage groups that a variance is about."""

    def __init__(
        self, connection: Connection, variance: Variance, run: Reconciliation, invoice: Invoice, rates: KnownRates
    ) -> None:
        self._connection = connection
        self._invoice = invoice
        self._rates = rates
        self._series = {number: key for key, number in series_of_account(connection, invoice.account_id).items()}
        self._first_later_event = first_event_after(connection, run.run_at)
        self._assigned_later = assigned_since(connection, invoice.account_id, run.run_at)
        self._groups = _VarianceGroups(connection, variance, invoice)

    def contributions_to(
        self, part: CausePart, context: ExplanationContext
    ) -> Iterator[tuple[MeteredRequest, RequestContribution]]:
        """Yield the requests that an explanation is about, with what each adds."""
        margin = MAX_SHIFT_MICROS if part.cause is Cause.PERIOD_EDGE else 0
        start, end = self._invoice.start - margin, self._invoice.end + margin
        if retired_between(self._connection, start, end):
            return
        rows = request_rows(self._connection, self._invoice.account_id, start, end)
        covered = (row for row in rows if self._is_covered(row))
        while chunk := list(islice(covered, _CHUNK)):
            for request in self._requests(chunk, with_quantities=needs_quantities(part)):
                contribution = contribution_of(part, request, context)
                if contribution is not None:
                    yield request, contribution

    def _is_covered(self, row: RequestRow) -> bool:
        event_id, time, series_id, *_ = row
        key = self._series.get(series_id)
        arrived_later = self._first_later_event is not None and event_id >= self._first_later_event
        if key is None or arrived_later or event_id in self._assigned_later:
            return False
        return self._invoice.provider in ("", key.provider) and self._groups.include(key, time)

    def _requests(self, rows: list[RequestRow], *, with_quantities: bool) -> Iterator[MeteredRequest]:
        details = request_details(self._connection, {row.event_id: row.event_time for row in rows}) if with_quantities else {}
        for event_id, time, series_id, amount, grade, *_ in rows:
            key, detail = self._series[series_id], details.get(event_id)
            yield MeteredRequest(
                event_id=event_id,
                time=time,
                provider=key.provider,
                model=key.model,
                billability=billability_of(key.route or UNKNOWN, grade, self._invoice.routes),
                amount_nano=amount,
                quantities=_NOT_READ if detail is None else detail.quantities,
                rate=None if detail is None else self._rates.by_id.get(detail.rate_id),
            )


class _VarianceGroups:
    """The usage groups that a variance is about: those of its lines, and groups without a line if an item names none."""

    def __init__(self, connection: Connection, variance: Variance, invoice: Invoice) -> None:
        self._location = FindingLocation(variance.provider, variance.model, variance.session)
        lines = list(usage_lines(connection, invoice.id))
        self._dimensions = dimensions_of(lines)
        positions = [item.position for item in items_of(connection, variance.id)]
        own_lines = lines_at(connection, invoice.id, [position for position in positions if position is not None])
        self._of_variance = {self._key(line.session, line.day, line.provider, line.model) for line in own_lines.values()}
        self._of_invoice = {self._key(line.session, line.day, line.provider, line.model) for line in lines}
        self._with_unbilled = None in positions
        self._included: dict[tuple[SeriesKey, int], bool] = {}

    def include(self, key: SeriesKey, time: int) -> bool:
        """Return whether a request of a series at a time is in one of the groups."""
        day = time // MICROS_PER_DAY
        included = self._included.get((key, day))
        if included is None:
            group = self._key(session_of(key.project, key.tags), day, key.provider, key.model)
            is_unbilled = self._with_unbilled and group not in self._of_invoice and self._is_in_location(key)
            included = self._included[key, day] = group in self._of_variance or is_unbilled
        return included

    def _is_in_location(self, key: SeriesKey) -> bool:
        located = FindingLocation(key.provider, key.model, session_of(key.project, key.tags))
        pairs = zip(self._location, located, strict=True)
        return all(not wanted or wanted == actual for wanted, actual in pairs)

    def _key(self, session: str, day: int | None, provider: str, model: str) -> GroupKey:
        return key_for(self._dimensions, session=session, day=day, provider=provider, model=model)
