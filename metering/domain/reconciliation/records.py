"""What is recorded of a reconciliation: invoices, runs, variances with their decisions, and evidence."""

from typing import NamedTuple

from msgspec import Struct

from metering.domain.reconciliation.bridge import Bridge
from metering.domain.reconciliation.invoices import Coverage, ExcludedInvoiceRow
from metering.domain.reconciliation.readings import ReadTotal, readings_of
from metering.domain.reconciliation.variances import needs_attention

VarianceKey = tuple[str, str, str, str, str]
"""(cause, detail, provider, model, session): identifies a variance across runs."""


class Invoice(Struct, frozen=True, kw_only=True):
    """An invoice. Amounts are nano-USD, times microseconds UTC; ``superseded_by`` is the invoice that replaces it.

    ``excluded`` are rows of the document that are no lines, because they are sums of others.
    """

    id: int
    account_id: int
    biller: str
    provider: str
    number: str
    format: str
    file: str
    grain: str
    routes: tuple[str, ...]
    start: int
    end: int
    issued_at: int
    unit_nano: int
    lines: int
    lines_nano: int | None
    total_nano: int | None
    supersedes_id: int | None
    notes: tuple[str, ...]
    imported_at: int
    superseded_by: int | None = None
    digest: str = ""
    excluded: tuple[ExcludedInvoiceRow, ...] = ()

    @property
    def coverage(self) -> Coverage:
        """The metered usage that it covers."""
        return Coverage(self.start, self.end, self.routes, self.provider)

    @property
    def owed_nano(self) -> int | None:
        """The amount it bills: its total, otherwise the sum of its lines; None if it states no amounts."""
        return self.lines_nano if self.total_nano is None else self.total_nano


class Reconciliation(Struct, frozen=True, kw_only=True):
    """A run as it is stored.

    ``statement_nano`` is what our statement showed as payable, for a total that may be one of a whole statement; ``reading`` is
    what a person chose to compare the total with, empty if nothing was chosen.
    """

    id: int
    invoice_id: int
    account_id: int
    run_at: int
    ours_nano: int
    theirs_nano: int
    requests: int
    matched_requests: int
    usage_nano: int
    matched_nano: int
    valued: bool
    tolerance_nano: int
    reading: str = ""
    statement_nano: int | None = None

    @property
    def readings(self) -> tuple[ReadTotal, ...]:
        """The total compared with both readings; none if it is not a total that has two."""
        return readings_of(self.theirs_nano, statement_nano=self.statement_nano, usage_nano=self.ours_nano)


class InvoiceOverview(NamedTuple):
    """An invoice, and its newest run if it has been reconciled."""

    invoice: Invoice
    newest_run: Reconciliation | None


class ImportedInvoice(Struct, frozen=True):
    """The result of an import. ``is_new`` is false if the document was imported before; then it can have a run.

    ``readings`` compare a pasted total with our statement and our usage as they are now.
    """

    invoice: Invoice
    is_new: bool
    newest_run: Reconciliation | None = None
    readings: tuple[ReadTotal, ...] = ()


class Decision(NamedTuple):
    """A decision on a variance."""

    id: int
    variance_id: int
    state: str
    who: str
    reason: str
    decided_at: int
    corrected_nano: int
    adjustment: str


class Variance(Struct, frozen=True, kw_only=True):
    """A variance with its latest decision. ``corrected_nano`` is the sum of the corrections that statements have for it."""

    id: int
    reconciliation_id: int
    cause: str
    detail: str
    provider: str
    model: str
    session: str
    basis: str
    amount_nano: int
    items: int
    tolerated: bool
    alternatives: tuple[str, ...]
    state: str
    who: str
    reason: str
    decided_at: int
    corrected_nano: int
    adjustment: str

    @property
    def key(self) -> VarianceKey:
        """What identifies it across runs."""
        return self.cause, self.detail, self.provider, self.model, self.session


class ReconciliationReport(Struct, frozen=True):
    """A run with its invoice, its variances, and the bridge that they make."""

    run: Reconciliation
    invoice: Invoice
    variances: tuple[Variance, ...]
    bridge: Bridge

    @property
    def needs_attention(self) -> list[Variance]:
        """The variances that are open and not tolerated."""
        return [each for each in self.variances if needs_attention(each.state, is_tolerated=each.tolerated)]


class Evidence(Struct, frozen=True, gc=False):
    """One difference that shows a variance, or, with an ``explanation``, a metered request that would explain it.

    Values that are not known are None or empty. ``line`` is the line number in the document, ``day`` a day number (UTC).
    """

    event_id: str = ""
    source: str = ""
    event_time: int | None = None
    provider: str = ""
    model: str = ""
    session: str = ""
    day: int | None = None
    request_id: str = ""
    line: int | None = None
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    output_tokens: int | None = None
    ours_nano: int | None = None
    theirs_nano: int | None = None
    amount_nano: int | None = None
    explanation: str = ""


class VarianceHistory(Struct, frozen=True):
    """A variance, the run and the invoice it belongs to, and its decisions, oldest first."""

    variance: Variance
    run: Reconciliation
    invoice: Invoice
    decisions: tuple[Decision, ...]


class VarianceExplanation(Struct, frozen=True):
    """A variance with its history and some of its evidence. ``price`` is the price that would explain it, if one would.

    ``requests`` are the first of the ``requests_in_all`` that would explain a variance of sums.
    """

    history: VarianceHistory
    evidence: tuple[Evidence, ...]
    requests: tuple[Evidence, ...]
    requests_in_all: int
    price: str | None
