"""Invoices: lines that state what Hugging Face or a provider bills, and the usage that they cover.

Amounts are nano-USD. ``unit_nano`` is the unit that an invoice states amounts in (cents: 10,000,000), which limits what
rounding can explain. A line without an amount states quantities only.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_DAY, month_start, next_month
from metering.domain.usage.events import BILLED_ROUTES, PROVIDER_KEY
from pricing.quantities import ALL_KINDS

HUGGING_FACE = "huggingface"
USD = "USD"

PROMPT_TOKENS = "prompt_tokens"
"""A quantity that some reports state instead of its parts: all tokens sent to the model, cached or not."""

LINE_QUANTITIES = (*ALL_KINDS, PROMPT_TOKENS)


class InvoiceError(DomainError):
    """A document that cannot be imported as an invoice; ``code`` gives the reason.

    ``invalid_invoice``: it cannot be read; ``wrong_currency``; ``wrong_account``: it names another account;
    ``unknown_invoice_format``; ``invoice_too_large``; ``period_required``: neither the document nor the caller states one;
    ``missing_column`` and ``duplicate_column``: a mapped column is not there, or is there twice; ``ambiguous_total_rows``: a
    row may be the sum of others.
    """

    code = "invalid_invoice"

    def __init__(self, message: str, code: str = "invalid_invoice") -> None:
        super().__init__(message)
        self.code = code


class Grain(StrEnum):
    """The level of detail of an invoice's lines, finest first."""

    REQUEST = "request"
    SESSION = "session"
    DAY = "day"
    MODEL = "model"
    PROVIDER = "provider"
    TOTAL = "total"


class InvoiceLineKind(StrEnum):
    """What a line bills. Only usage is matched with metered usage; each other kind is a step of the bridge."""

    USAGE = "usage"
    CREDIT = "credit"
    FEE = "fee"
    TAX = "tax"


NO_QUANTITIES: Mapping[str, int] = MappingProxyType({})


class InvoiceLine(Struct, frozen=True, gc=False, kw_only=True):
    """One line. Fields it does not state are empty or None. ``day`` is a day number (UTC), ``requests`` a count of requests.

    ``session`` is Hugging Face's ``X-HF-Session-id``; it is compared with the declared tag ``session`` of metered usage, else
    with its project.
    """

    position: int
    kind: str = InvoiceLineKind.USAGE
    amount_nano: int | None = None
    request_id: str = ""
    session: str = ""
    day: int | None = None
    provider: str = ""
    model: str = ""
    requests: int | None = None
    quantities: Mapping[str, int] = NO_QUANTITIES

    @property
    def is_refund(self) -> bool:
        """Whether the line takes something back: a negative amount, or nothing charged for negative quantities."""
        amount = self.amount_nano
        return amount is not None and (amount < 0 or (amount == 0 and self.states_negative_quantities))

    @property
    def states_negative_quantities(self) -> bool:
        """Whether a count on the line is negative."""
        return (self.requests or 0) < 0 or any(count < 0 for count in self.quantities.values())

    @property
    def grain(self) -> Grain:
        """The finest level of detail that the line states."""
        if self.request_id:
            return Grain.REQUEST
        if self.session:
            return Grain.SESSION
        if self.day is not None:
            return Grain.DAY
        if self.model:
            return Grain.MODEL
        return Grain.PROVIDER if self.provider else Grain.TOTAL


class ExcludedInvoiceRow(Struct, frozen=True):
    """A row of a document that is no line, because it is the sum of others. ``amount_nano`` is None if it states no amount."""

    line: int
    amount_nano: int | None
    reason: str


class Coverage(Struct, frozen=True):
    """The metered usage that an invoice covers: some routes, one provider or all (empty), in ``[start, end)``."""

    start: int
    end: int
    routes: tuple[str, ...] = BILLED_ROUTES
    provider: str = ""

    def check(self) -> None:
        """Raise InvoiceError for a period that does not end after it starts."""
        if self.end <= self.start:
            raise InvoiceError("the invoice's period must end after it starts")

    def touches_day(self, day: int | None) -> bool:
        """Return whether a part of a UTC day is in the period; of an unknown day, true."""
        return day is None or (day * MICROS_PER_DAY < self.end and (day + 1) * MICROS_PER_DAY > self.start)

    def overlaps(self, other: "Coverage") -> bool:
        """Return whether some usage is covered by both."""
        return (
            self.start < other.end
            and other.start < self.end
            and bool({*self.routes} & {*other.routes})
            and ("" in (self.provider, other.provider) or self.provider == other.provider)
        )


def stated_period(month: int | None, start: int | None, end: int | None) -> tuple[int | None, int | None]:
    """Return the period that a caller states as a month (``YYYYMM``) or as start and end; (None, None) if neither.

    Raises DomainError for both, and for one end only.
    """
    if month is None:
        if (start is None) != (end is None):
            raise DomainError("a period needs both its start and its end")
        return start, end
    if start is not None or end is not None:
        raise DomainError("give the period as a month, or as start and end, not both")
    return month_start(month), month_start(next_month(month))


def routes_billed_by(biller: str) -> tuple[str, ...]:
    """Return the billing routes of a biller: what Hugging Face routes, or what uses an account's own key with a provider."""
    return BILLED_ROUTES if biller == HUGGING_FACE else (PROVIDER_KEY,)
