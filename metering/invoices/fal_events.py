"""fal's billing events: one per request, with its ID, its units and its cost in dollars after discount.

``{"request_id", "endpoint_id", "cost_subtotal", "cost_discount", "cost_total", "cost_estimate_nano_usd"}``, as a list, under
``events``, or one per line. An event does not state what the units of its endpoint are (images, megapixels, seconds), so only
amounts are compared.
"""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.amounts import AmountReader
from metering.invoices.json_table import objects
from metering.invoices.reading import InvoiceHead, InvoiceReading, ReadOptions, text_of

FORMAT = "fal-events"
PROVIDER = "fal-ai"


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the events. Raises InvoiceError."""
    head = InvoiceHead(format=FORMAT, biller=PROVIDER, provider=PROVIDER, start=options.start, end=options.end)
    return InvoiceReading(head, _lines(source, options, head))


def _lines(source: BinaryIO, options: ReadOptions, head: InvoiceHead) -> Iterator[InvoiceLine]:
    amounts = AmountReader()
    for position, event in enumerate(objects(source, "", options), start=1):
        request_id = text_of(event.get("request_id") or event.get("requestId"), "request_id", position)
        if not request_id:
            raise InvoiceError(f"line {position}: the event has no request_id")
        model = text_of(event.get("endpoint_id") or event.get("endpoint") or event.get("model"), "endpoint_id", position)
        yield InvoiceLine(
            position=position,
            request_id=request_id,
            provider=PROVIDER,
            model=model,
            amount_nano=_amount(event, amounts, f"line {position}"),
        )
    head.unit_nano = amounts.unit_nano


def _amount(event: Mapping[str, object], amounts: AmountReader, where: str) -> int:
    if event.get("cost_total") is not None:
        return amounts.dollars(event["cost_total"], f"{where}: cost_total")
    if event.get("cost_estimate_nano_usd") is not None:
        return amounts.nano(event["cost_estimate_nano_usd"], f"{where}: cost_estimate_nano_usd")
    subtotal = amounts.dollars(event.get("cost_subtotal"), f"{where}: cost_subtotal")
    discount = event.get("cost_discount")
    return subtotal - (0 if discount is None else abs(amounts.dollars(discount, f"{where}: cost_discount")))
