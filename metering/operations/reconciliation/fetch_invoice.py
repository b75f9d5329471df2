"""Fetch a bill: ask Hugging Face what it says was used, and import the answer as it came.

Asked again, the same answer changes nothing; another one supersedes the one before. A source that fails records nothing.
"""

import io
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.domain.instants import MICROS_PER_SECOND, format_month, month_start, next_month
from metering.domain.reconciliation.invoices import HUGGING_FACE
from metering.invoices.reading import ReadOptions
from metering.operations.reconciliation.import_invoice import ImportedInvoice, InvoiceOrder, import_invoice
from metering.outbound.fetch_results import Fetch, NotModified

USAGE, SESSIONS = "usage", "sessions"
_FORMATS = {USAGE: "hf-usage", SESSIONS: "hf-sessions"}
_OF_A_USER = {USAGE: "settings/billing/usage-v2", SESSIONS: "settings/billing/usage-by-inference-session"}


class NoTokenError(DomainError):
    """Hugging Face tells nobody without a token what it bills."""

    code = "no_token"


class BillSource(NamedTuple):
    """How Hugging Face is asked: ``fetch`` sends the token, ``url`` is that of its API."""

    fetch: Fetch
    url: str


class BillRequest(NamedTuple):
    """Whose bill of which month (``YYYYMM``), as a total or by session; ``organization`` empty: the token's own user."""

    account: str
    month: int
    what: str = USAGE
    organization: str = ""


def fetch_invoice(engine: Engine, source: BillSource, wanted: BillRequest, *, now: int) -> ImportedInvoice:
    """Ask for a bill and import it. Raises FetchError, InvoiceError, NotFoundError."""
    start, end = month_start(wanted.month), month_start(next_month(wanted.month))
    answer = source.fetch(_address(source.url, wanted, start, end), "")
    if isinstance(answer, NotModified):
        raise DomainError("the source answers that nothing changed, and nothing was asked about a change")
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
        return f"{url}/{_OF_A_USER[wanted.what]}?{period}"
    if wanted.what != USAGE:
        raise DomainError("Hugging Face tells usage by session to users, not to organisations")
    return f"{url}/organizations/{quote(wanted.organization, safe='')}/billing/usage?{period}"
