"""A partner's answers to Hugging Face's Billing API: ``{"requests": [{"requestId": "...", "costNanoUsd": 100}]}``.

One answer, a list of answers, or one answer per line. ``"requests": null`` means that no cost is known. A cost that is negative
or not a whole number is skipped, as Hugging Face does, and counted in a note.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

import msgspec
from msgspec import Struct

from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.reading import MAX_JSON_BYTES, MAX_TEXT, InvoiceHead, InvoiceReading, ReadOptions

FORMAT = "hf-billing"


class _Cost(Struct, gc=False, rename="camel"):
    request_id: str
    cost_nano_usd: msgspec.Raw = msgspec.Raw(b"null")


class _BillingAnswer(Struct, gc=False):
    requests: list[_Cost] | None


_decode = msgspec.json.Decoder(_BillingAnswer | list[_BillingAnswer]).decode
_integer = msgspec.json.Decoder(int).decode


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the answers, line by line if there is one per line. Raises InvoiceError."""
    head = InvoiceHead(format=FORMAT, start=options.start, end=options.end, provider=options.provider, unit_nano=1)
    return InvoiceReading(head, _lines(_costs(source), head))


def _costs(source: BinaryIO) -> Iterable[_Cost]:
    first = source.readline(MAX_JSON_BYTES + 1)
    try:
        answers = _answers(first)
    except msgspec.ValidationError as error:
        raise InvoiceError(f"the document is not an answer of the Billing API: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Not one answer per line: the whole is one document.
        return chain.from_iterable(_whole(first + source.read(MAX_JSON_BYTES + 1 - len(first))))
    rest = (answer for line in source if line.strip() for answer in _line(line))
    return chain(chain.from_iterable(answers), chain.from_iterable(rest))


def _whole(raw: bytes) -> Iterator[list[_Cost]]:
    if len(raw) > MAX_JSON_BYTES:
        raise InvoiceError("the document is too large for one JSON document; write one answer per line", "invoice_too_large")
    yield from _line(raw)


def _line(raw: bytes) -> Iterator[list[_Cost]]:
    try:
        yield from _answers(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvoiceError(f"the document is not an answer of the Billing API: {error}") from None


def _answers(raw: bytes) -> list[list[_Cost]]:
    decoded = _decode(raw)
    return [answer.requests or [] for answer in (decoded if isinstance(decoded, list) else [decoded])]


def _lines(costs: Iterable[_Cost], head: InvoiceHead) -> Iterator[InvoiceLine]:
    skipped = position = 0
    for cost in costs:
        amount = _amount(cost.cost_nano_usd)
        if amount is None or not 0 < len(cost.request_id) <= MAX_TEXT:
            skipped += 1
            continue
        position += 1
        yield InvoiceLine(position=position, request_id=cost.request_id, amount_nano=amount)
    if skipped:
        head.notes.append(f"skipped {skipped} costs that were negative or not whole numbers, as Hugging Face does")


def _amount(raw: msgspec.Raw) -> int | None:
    try:
        amount = _integer(raw)
    except msgspec.DecodeError:
        return None
    return amount if 0 <= amount < 2**62 else None
