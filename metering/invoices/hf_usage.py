"""Hugging Face's own figures for a user or an organization: ``usage-v2`` (a total) and ``usage/live`` (by provider).

``GET /api/settings/billing/usage-v2`` gives ``{"usage": {"inferenceProviders": {...}, "jobs": {...}}}``; ``usage/live`` is a
stream of server-sent events whose ``usage.inference`` has ``providerDetails``; an organization's ``billing/usage`` is read the
same way. Compute other than inference is left out, and noted.

The ``periodEnd`` of ``usage-v2`` is the ``endDate`` that was asked for, not the end of a billing period: usage is counted until
then, or until the question if that was earlier. ``includedNanoUsd`` is what credits paid, not the allowance; what is charged is
the rest.
"""

from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

from metering.domain.instants import MICROS_PER_SECOND, format_instant
from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.amounts import AmountReader
from metering.invoices.reading import (
    InvoiceHead,
    InvoiceReading,
    ReadOptions,
    check_account,
    count_of,
    decode_json,
    instant_of,
    read_whole,
    text_of,
)

FORMAT = "hf-usage"
_SECTIONS = ("inferenceProviders", "inference")


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the document, or the last usage event of a stream. Raises InvoiceError."""
    document = _document(read_whole(source))
    usage = document.get("usage")
    parts = cast("dict[str, object]", usage) if isinstance(usage, dict) else {}
    section = next((parts[name] for name in _SECTIONS if isinstance(parts.get(name), dict)), None)
    if not isinstance(section, dict):
        raise InvoiceError("usage.inferenceProviders or usage.inference must be an object")
    for name in ("account", "organization", "entity", "name"):
        stated = document.get(name)
        if isinstance(stated, str):
            check_account(stated, options)
    amounts = AmountReader()
    head = InvoiceHead(
        format=FORMAT,
        start=options.start if options.start is not None else instant_of(section.get("periodStart"), "periodStart"),
        end=options.end if options.end is not None else instant_of(section.get("periodEnd"), "periodEnd"),
        total_nano=amounts.nano(section.get("usedNanoUsd"), "usedNanoUsd"),
        unit_nano=1,
    )
    for name, used in (("periodStart", head.start), ("periodEnd", head.end)):
        stated = instant_of(section.get(name), name)
        if stated is not None and used is not None and abs(stated - used) > MICROS_PER_SECOND:
            what = "the end that was asked for" if name == "periodEnd" and _is_total(parts) else "in the document"
            head.notes.append(f"{name} is {format_instant(stated)}, {what}; {format_instant(used)} is used instead")
    others = sorted(name for name in parts if name not in _SECTIONS)
    if others:
        head.notes.append(f"left out because it is not inference: {', '.join(others)}")
    if section.get("includedNanoUsd"):
        included = amounts.nano(section["includedNanoUsd"], "includedNanoUsd")
        charged = max(0, (head.total_nano or 0) - included)
        head.notes.append(
            f"included credits paid {included} nano-USD of this usage, so {charged} nano-USD is charged; usage is compared"
            " before credits"
        )
    return InvoiceReading(head, _lines(section, amounts))


def _is_total(parts: Mapping[str, object]) -> bool:
    """Whether the document is of ``usage-v2``, which repeats the dates of the question."""
    return isinstance(parts.get("inferenceProviders"), dict)


def _document(raw: bytes) -> dict[str, object]:
    """Return the JSON object, or that of the last event that has ``usage``."""
    if raw.lstrip().startswith((b"data:", b"event:", b"id:", b":")):
        latest = None
        for line in raw.splitlines():
            if line.startswith(b"data:"):
                event = decode_json(line[len(b"data:") :].strip() or b"null", "an event's data")
                latest = event if isinstance(event, dict) and "usage" in event else latest
        if latest is None:
            raise InvoiceError("no event of the stream has usage")
        return latest
    document = decode_json(raw, "the document")
    if not isinstance(document, dict):
        raise InvoiceError("the document must be a JSON object with usage")
    return document


def _lines(section: Mapping[str, object], amounts: AmountReader) -> Iterator[InvoiceLine]:
    details = section.get("providerDetails")
    if not isinstance(details, list):
        yield InvoiceLine(
            position=1,
            amount_nano=amounts.nano(section.get("usedNanoUsd"), "usedNanoUsd"),
            requests=count_of(section.get("numRequests"), "numRequests", 1),
        )
        return
    for position, detail in enumerate(details, start=1):
        if not isinstance(detail, dict):
            raise InvoiceError(f"line {position}: providerDetails must be objects")
        fields = cast("Mapping[str, object]", detail)
        provider = text_of(fields.get("provider"), "provider", position)
        if not provider:
            raise InvoiceError(f"line {position}: providerDetails has no provider")
        yield InvoiceLine(
            position=position,
            provider=provider,
            amount_nano=amounts.nano(fields.get("totalCostNanoUsd"), f"line {position}: totalCostNanoUsd"),
            requests=count_of(fields.get("numRequests"), "numRequests", position),
        )
