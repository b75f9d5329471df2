"""The requests of ours that an explanation of sums is about, found in the log: what a dispute about a sum is shown with.

They are looked for when they are asked for, among the events that a run could see: what arrived after it, or was assigned to
the account after it, is no part of it.
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
from metering.domain.reconciliation.period_shift import LONGEST_SHIFT_MICROS
from metering.domain.reconciliation.records import Invoice, Reconciliation, Variance
from metering.domain.reconciliation.requests import Billability, MeteredRequest, billability_of
from metering.domain.reconciliation.usage_groups import GroupKey, dimensions_of, key_for
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

_AT_ONCE = 5_000
_NOTHING = Quantities()


class ContributingRequest(NamedTuple):
    """A request that an explanation (as it is written) is about; what it adds to it, nano-USD, None where nobody knows."""

    explanation: str
    event_id: int
    ours_nano: int | None
    amount_nano: int | None


def contributing_requests(
    connection: Connection, variance: Variance, run: Reconciliation, invoice: Invoice
) -> Iterator[ContributingRequest]:
    """Yield the requests behind a variance of sums, explanation by explanation, by their times.

    None at the grain of requests, where every difference names its own, and where events of the period were retired.
    """
    parts = [part for part in _parts(variance) if names_requests(part)]
    if invoice.grain == Grain.REQUEST or not parts:
        return
    versions = known_rates(load_tables(connection), invoice.account_id)
    log = _Log(connection, variance, run, invoice, versions)
    background = ExplanationContext(invoice.coverage, versions.by_model, _charged(connection, invoice, versions))
    for part in parts:
        for request, shown in log.contribution_of(part, background):
            ours = request.amount_nano if request.standing == Billability.BILLED else None
            yield ContributingRequest(format_explanation((part,)), request.event_id, ours, shown.amount_nano)


def _parts(variance: Variance) -> list[CausePart]:
    """Return what a variance puts forward: its cause, or, where it is unexplained, everything that might be."""
    if variance.cause != Cause.UNEXPLAINED:
        return [CausePart(Cause(variance.cause), variance.detail)]
    return list(dict.fromkeys(part for each in variance.alternatives for part in read_explanation(each)))


def _charged(connection: Connection, invoice: Invoice, versions: KnownRates) -> dict[tuple[str, str], Rate]:
    """Return at which rate each model is charged on the routes of an invoice."""
    rows = usage_rows(connection, invoice.account_id, invoice.start, invoice.end)
    billed = [row for row in rows if row.rate_id in versions.by_id and row.route in invoice.routes]
    return {(row.provider, row.model): versions.by_id[row.rate_id] for row in billed}


class _Log:
    """The account's requests in the groups of sums that a variance is about."""

    def __init__(
        self, connection: Connection, variance: Variance, run: Reconciliation, invoice: Invoice, versions: KnownRates
    ) -> None:
        self._connection = connection
        self._invoice = invoice
        self._versions = versions
        self._known = {number: key for key, number in series_of_account(connection, invoice.account_id).items()}
        self._before = first_event_after(connection, run.run_at)
        self._assigned_later = assigned_since(connection, invoice.account_id, run.run_at)
        self._groups = _Groups(connection, variance, invoice)

    def contribution_of(
        self, part: CausePart, background: ExplanationContext
    ) -> Iterator[tuple[MeteredRequest, RequestContribution]]:
        """Yield the requests that an explanation is about, with what each adds."""
        reach = LONGEST_SHIFT_MICROS if part.cause is Cause.PERIOD_EDGE else 0
        start, end = self._invoice.start - reach, self._invoice.end + reach
        if retired_between(self._connection, start, end):
            return
        rows = request_rows(self._connection, self._invoice.account_id, start, end)
        covered = (row for row in rows if self._is_covered(row))
        while chunk := list(islice(covered, _AT_ONCE)):
            for request in self._requests(chunk, with_quantities=needs_quantities(part)):
                shown = contribution_of(part, request, background)
                if shown is not None:
                    yield request, shown

    def _is_covered(self, row: RequestRow) -> bool:
        event_id, time, series_id, *_ = row
        key = self._known.get(series_id)
        is_later = event_id in self._assigned_later or (self._before is not None and event_id >= self._before)
        if key is None or is_later:
            return False
        return self._invoice.provider in ("", key.provider) and self._groups.hold(key, time)

    def _requests(self, rows: list[RequestRow], *, with_quantities: bool) -> Iterator[MeteredRequest]:
        details = request_details(self._connection, {row.event_id: row.event_time for row in rows}) if with_quantities else {}
        for event_id, time, series_id, amount, grade, *_ in rows:
            key, detail = self._known[series_id], details.get(event_id)
            yield MeteredRequest(
                event_id=event_id,
                time=time,
                provider=key.provider,
                model=key.model,
                standing=billability_of(key.route or UNKNOWN, grade, self._invoice.routes),
                amount_nano=amount,
                quantities=_NOTHING if detail is None else detail.quantities,
                rate=None if detail is None else self._versions.by_id.get(detail.rate_id),
            )


class _Groups:
    """The groups of sums that a variance is about: those of its lines, and what no line is about where it names none."""

    def __init__(self, connection: Connection, variance: Variance, invoice: Invoice) -> None:
        self._place = FindingLocation(variance.provider, variance.model, variance.session)
        lines = list(usage_lines(connection, invoice.id))
        self._dimensions = dimensions_of(lines)
        positions = [item.position for item in items_of(connection, variance.id)]
        named = lines_at(connection, invoice.id, [position for position in positions if position is not None])
        self._named = {self._key(line.session, line.day, line.provider, line.model) for line in named.values()}
        self._listed = {self._key(line.session, line.day, line.provider, line.model) for line in lines}
        self._unlisted = None in positions
        self._found: dict[tuple[SeriesKey, int], bool] = {}

    def hold(self, key: SeriesKey, time: int) -> bool:
        """Whether a request of a series at a time is in one of them."""
        day = time // MICROS_PER_DAY
        found = self._found.get((key, day))
        if found is None:
            group = self._key(key.project, day, key.provider, key.model)
            found = group in self._named or (self._unlisted and group not in self._listed and self._is_here(key))
            self._found[key, day] = found
        return found

    def _is_here(self, key: SeriesKey) -> bool:
        told = zip(self._place, FindingLocation(key.provider, key.model, key.project), strict=True)
        return all(not named or named == found for named, found in told)

    def _key(self, session: str, day: int | None, provider: str, model: str) -> GroupKey:
        return key_for(self._dimensions, session=session, day=day, provider=provider, model=model)
