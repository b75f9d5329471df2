"""``usage-by-inference-session``: what Hugging Face charged per request header ``X-HF-Session-id``, in cents.

``{"periods": [{"sessions": [{"id", "requestCount", "costCents"}]}]}``. A session is compared with the declared tag
``session`` of metered usage, else with its project: an application that sends one session ID per project, as the sidecar
does with ``--session-per project``, gets Hugging Face's charges per project.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.amounts import AmountReader
from metering.invoices.reading import (
    InvoiceHead,
    InvoiceReading,
    ReadOptions,
    count_of,
    instant_of,
    read_json,
    text_of,
)

FORMAT = "hf-sessions"
_STARTS, _ENDS = ("periodStart", "start", "startDate"), ("periodEnd", "end", "endDate")


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the only period of the document, or the one that equals the caller's period. Raises InvoiceError."""
    document = read_json(source)
    periods = document.get("periods") if isinstance(document, dict) else None
    if not isinstance(periods, list) or not all(isinstance(each, dict) for each in periods):
        raise InvoiceError("periods must be a list of objects")
    period = _chosen(periods, options)
    sessions = period.get("sessions")
    if not isinstance(sessions, list) or not all(isinstance(each, dict) for each in sessions):
        raise InvoiceError("periods[].sessions must be a list of objects")
    start, end = _bounds(period)
    amounts = AmountReader()
    head = InvoiceHead(
        format=FORMAT,
        start=start if options.start is None else options.start,
        end=end if options.end is None else options.end,
    )
    return InvoiceReading(head, _lines(sessions, amounts, head))


def _chosen(periods: Sequence[dict[str, Any]], options: ReadOptions) -> dict[str, Any]:
    if len(periods) == 1:
        return periods[0]
    matching = [each for each in periods if options.start is not None and _bounds(each) == (options.start, options.end)]
    if len(matching) != 1:
        raise InvoiceError(f"the document has {len(periods)} periods; choose one by its start and end")
    return matching[0]


def _bounds(period: dict[str, Any]) -> tuple[int | None, int | None]:
    start = next((period[name] for name in _STARTS if name in period), None)
    end = next((period[name] for name in _ENDS if name in period), None)
    return instant_of(start, "the period's start"), instant_of(end, "the period's end")


def _lines(sessions: Sequence[dict[str, Any]], amounts: AmountReader, head: InvoiceHead) -> Iterator[InvoiceLine]:
    for position, session in enumerate(sessions, start=1):
        name = text_of(session.get("id"), "id", position)
        if not name:
            raise InvoiceError(f"line {position}: the session has no id")
        yield InvoiceLine(
            position=position,
            session=name,
            amount_nano=amounts.cents(session.get("costCents"), f"line {position}: costCents"),
            requests=count_of(session.get("requestCount"), "requestCount", position),
        )
    head.unit_nano = amounts.unit_nano
