"""Fetch an invoice: ask Hugging Face what it bills, and import the answer unchanged.

Fetching the same answer again changes nothing; a different answer supersedes the one before. A failed request records nothing.
"""

import io
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_SECOND, format_month, month_start, next_month
from metering.domain.reconciliation.invoices import HUGGING_FACE
from metering.domain.reconciliation.records import ImportedInvoice
from metering.invoices.reading import ReadOptions
from metering.operations.reconciliation.import_invoice import InvoiceOrder, import_invoice
from metering.outbound.fetch_results import Fetch, NotModified

USAGE, SESSIONS = "usage", "sessions"
_FORMATS = {USAGE: "hf-usage", SESSIONS: "hf-sessions"}
_USER_PATHS = {USAGE: "settings/billing/usage-v2", SESSIONS: "settings/billing/usage-by-inference-session"}


class NoTokenError(DomainError):
    """Hugging Face requires a token to see what it bills."""

    code = "no_token"


class BillSource(NamedTuple):
    """Hugging Face's API at ``url``; ``fetch`` sends the token."""

    fetch: Fetch
    url: str


class BillRequest(NamedTuple):
    """The account and month (``YYYYMM``) of an invoice, as a total or by session.

    ``organization`` is the name of an organization at Hugging Face; empty: the user that the token belongs to.
    """

    account: str
    month: int
    what: str = USAGE
    organization: str = ""


def fetch_invoice(engine: Engine, source: BillSource, wanted: BillRequest, *, now: int) -> ImportedInvoice:
    """Fetch and import an invoice. Raises FetchError, InvoiceError, NotFoundError."""
    start, end = month_start(wanted.month), month_start(next_month(wanted.month))
    answer = source.fetch(_address(source.url, wanted, start, end), "")
    if isinstance(answer, NotModified):
        raise DomainError("Hugging Face answered 'not modified' to an unconditional request; try again later")
    order = InvoiceOrder(
        account=wanted.account,
        format=_FORMATS[wanted.what],
        file=f"{wanted.what} of {format_month(wanted.month)}, fetched",
        options=ReadOptions(biller=HUGGING_FACE, start=start, end=end),
    )
    return import_invoice(engine, io.BytesIO(answer.body), order, now=now)


def _address(url: str, wanted: BillRequest, start: int, end: int) -> str:
    period = f"startDate={start // MICROS_PER_SECOND}&endDate={end // MICROS_PER_SECOND}"
    if not wanted.organization:
        return f"{url}/{_USER_PATHS[wanted.what]}?{period}"
    if wanted.what != USAGE:
        raise DomainError("Hugging Face reports usage by session only for users; fetch an organization's usage as a total")
    return f"{url}/organizations/{quote(wanted.organization, safe='')}/billing/usage?{period}"
