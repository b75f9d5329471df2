"""What is recorded of a reconciliation: the invoice, the run, its variances with what was decided, and the bridge they make."""

from typing import NamedTuple

from msgspec import Struct

from metering.domain.reconciliation.bridge import Bridge
from metering.domain.reconciliation.invoices import Coverage
from metering.domain.reconciliation.variances import needs_attention

VarianceKey = tuple[str, str, str, str, str]
"""(cause, detail, provider, model, session): what a variance is recognised by in another run."""


class Invoice(Struct, frozen=True, kw_only=True):
    """An invoice. Amounts are nano-USD, times microseconds UTC; ``superseded_by`` names the invoice that corrects it."""

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

    @property
    def coverage(self) -> Coverage:
        """Which of our usage it is about."""
        return Coverage(self.start, self.end, self.routes, self.provider)

    @property
    def owed_nano(self) -> int | None:
        """What it says is owed: its total, else the sum of its lines; None where it states no amounts."""
        return self.lines_nano if self.total_nano is None else self.total_nano


class Reconciliation(Struct, frozen=True, kw_only=True):
    """A run as it is stored."""

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


class Decision(NamedTuple):
    """What was decided."""

    id: int
    variance_id: int
    state: str
    who: str
    reason: str
    decided_at: int
    corrected_nano: int
    adjustment: str


class Variance(Struct, frozen=True, kw_only=True):
    """A variance with the decision that holds. ``corrected_nano`` is what statements were corrected by for it, in all."""

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
        """What it is recognised by in another run."""
        return self.cause, self.detail, self.provider, self.model, self.session


class ReconciliationReport(Struct, frozen=True):
    """A run with its invoice, its variances, and the bridge that they make."""

    run: Reconciliation
    invoice: Invoice
    variances: tuple[Variance, ...]
    bridge: Bridge

    @property
    def needs_attention(self) -> list[Variance]:
        """The open variances that are more than is tolerated."""
        return [each for each in self.variances if needs_attention(each.state, is_tolerated=each.tolerated)]


class Evidence(NamedTuple):
    """One difference that shows a variance, or a request of ours that would explain it: then ``explanation`` says how.

    What a side does not know is None or empty; ``line`` counts in the document, ``day`` is a day number (UTC).
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


class VarianceExplanation(Struct, frozen=True):
    """A variance with its evidence; ``price`` says the price that would explain it, where it is one.

    ``requests`` are the first of the ``requests_in_all`` that would explain a variance of sums.
    """

    variance: Variance
    run: Reconciliation
    invoice: Invoice
    decisions: tuple[Decision, ...]
    evidence: tuple[Evidence, ...]
    requests: tuple[Evidence, ...]
    requests_in_all: int
    price: str | None
