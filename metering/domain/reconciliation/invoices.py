"""An invoice: what Hugging Face or a provider says is owed, as lines that can be held against what was metered.

Amounts are nano-USD; ``unit_nano`` says how finely the invoice states them (cents: 10,000,000), which is what rounding can
explain. A line without an amount states quantities only.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from metering.domain.errors import DomainError
from metering.domain.usage.events import BILLED_ROUTES, PROVIDER_KEY
from pricing.quantities import ALL_KINDS

HUGGING_FACE = "huggingface"
USD = "USD"

PROMPT_TOKENS = "prompt_tokens"
"""A quantity that some reports state instead of its parts: all tokens sent to the model, cached or not."""

LINE_QUANTITIES = (*ALL_KINDS, PROMPT_TOKENS)


class InvoiceError(DomainError):
    """A document that can not be taken as the invoice that it is said to be; ``code`` says in which way.

    ``invalid_invoice``: it can not be read; ``wrong_currency``; ``wrong_account``: it names another account;
    ``unknown_invoice_format``; ``invoice_too_large``; ``period_required``: neither the document nor the caller states one.
    """

    code = "invalid_invoice"

    def __init__(self, message: str, code: str = "invalid_invoice") -> None:
        super().__init__(message)
        self.code = code


class Grain(StrEnum):
    """How fine the lines of an invoice are, finest first."""

    REQUEST = "request"
    SESSION = "session"
    DAY = "day"
    MODEL = "model"
    PROVIDER = "provider"
    TOTAL = "total"


class InvoiceLineKind(StrEnum):
    """What a line is about. Only usage is matched; the others are steps of their own."""

    USAGE = "usage"
    CREDIT = "credit"
    FEE = "fee"
    TAX = "tax"


NO_QUANTITIES: Mapping[str, int] = MappingProxyType({})


class InvoiceLine(Struct, frozen=True, gc=False, kw_only=True):
    """One line. What it does not state is empty or None; ``day`` is a day number (UTC), ``requests`` how many it is about.

    ``session`` is Hugging Face's ``X-HF-Session-id``, which is compared with the project of our usage.
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
    def grain(self) -> Grain:
        """The finest thing that the line names."""
        if self.request_id:
            return Grain.REQUEST
        if self.session:
            return Grain.SESSION
        if self.day is not None:
            return Grain.DAY
        if self.model:
            return Grain.MODEL
        return Grain.PROVIDER if self.provider else Grain.TOTAL


class Coverage(Struct, frozen=True):
    """Which of our usage an invoice is about: its biller's routes, one provider's or all (empty), in ``[start, end)``."""

    start: int
    end: int
    routes: tuple[str, ...] = BILLED_ROUTES
    provider: str = ""

    def check(self) -> None:
        """Raise InvoiceError for a period that does not end after it starts."""
        if self.end <= self.start:
            raise InvoiceError("the invoice's period must end after it starts")

    def overlaps(self, other: "Coverage") -> bool:
        """Whether some usage is billed by both."""
        return (
            self.start < other.end
            and other.start < self.end
            and bool({*self.routes} & {*other.routes})
            and ("" in (self.provider, other.provider) or self.provider == other.provider)
        )


def routes_billed_by(biller: str) -> tuple[str, ...]:
    """Return the routes whose usage a biller charges: Hugging Face what it routed, a provider what went by its own key."""
    return BILLED_ROUTES if biller == HUGGING_FACE else (PROVIDER_KEY,)
