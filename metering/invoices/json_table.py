"""Any invoice as JSON, with a map from fields of a line to paths (``cost.total``): one object per line, or one document.

In one document, ``lines`` of the map is the path to the list of lines; without it the document is the list, or an object that
contains a single list. Without a map, members named like the fields are used. One object per line is read as a stream.
"""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

import msgspec

from metering.domain.reconciliation.invoices import InvoiceError, InvoiceLine
from metering.invoices.line_fields import AMOUNT_FIELDS, FIELDS, LineReader, check_map
from metering.invoices.reading import (
    MAX_JSON_BYTES,
    InvoiceHead,
    InvoiceReading,
    ReadOptions,
    check_account,
    check_currency,
    decode_json,
)

FORMAT = "json"
MAX_OBJECT = 1024 * 1024


def read(source: BinaryIO, options: ReadOptions) -> InvoiceReading:
    """Read the objects. Raises InvoiceError."""
    check_map(options.columns)
    head = InvoiceHead(format=FORMAT, biller=options.biller, provider=options.provider, start=options.start, end=options.end)
    return InvoiceReading(head, _lines(source, options, head))


def objects(source: BinaryIO, path: str, options: ReadOptions) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a document: one per line, or those of the list at ``path``. Raises InvoiceError."""
    first = source.readline(MAX_OBJECT)
    one = _object_of(first)
    if one is not None and (not path or at_path(one, path) is None) and not _sole_list(one):
        yield one
        for number, line in enumerate(source, start=2):
            if line.strip():
                decoded = decode_json(line, f"line {number}")
                if not isinstance(decoded, dict):
                    raise InvoiceError(f"line {number} is not a JSON object")
                yield decoded
        return
    raw = first + source.read(MAX_JSON_BYTES + 1 - len(first))
    if len(raw) > MAX_JSON_BYTES:
        raise InvoiceError("the document is too large for one JSON document; write one object per line", "invoice_too_large")
    document = decode_json(raw, "the document")
    if isinstance(document, dict):
        _check_document(document, options)
    listed = at_path(document, path) if path else document
    if isinstance(listed, dict) and not path:
        listed = _sole_list(listed)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InvoiceError(f"{path or 'the document'} is not a list of objects; map the path of the lines: lines=PATH")
    yield from listed


def at_path(document: object, path: str) -> object:
    """Return the value at a dotted path; None if the path does not exist."""
    for name in path.split("."):
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document


def _lines(source: BinaryIO, options: ReadOptions, head: InvoiceHead) -> Iterator[InvoiceLine]:
    paths = {field: path for field, path in options.columns.items() if field != "lines"} or {name: name for name in FIELDS}
    reader = LineReader(options, lambda: _amounts(source, options, paths))
    found = enumerate(objects(source, options.columns.get("lines", ""), options), start=1)
    rows = ((number, {field: at_path(each, path) for field, path in paths.items()}, ()) for number, each in found)
    yield from reader.lines(rows, head)


def _amounts(source: BinaryIO, options: ReadOptions, paths: Mapping[str, str]) -> Iterator[object]:
    """Yield the amounts of a document from its start; the position in the file stays."""
    before = source.tell()
    source.seek(0)
    try:
        for each in objects(source, options.columns.get("lines", ""), options):
            yield from (at_path(each, path) for field, path in paths.items() if field in AMOUNT_FIELDS)
    finally:
        source.seek(before)


def _check_document(document: Mapping[str, object], options: ReadOptions) -> None:
    for name, check in (("currency", check_currency), ("account", lambda text: check_account(text, options))):
        stated = document.get(name)
        if isinstance(stated, str):
            check(stated)


def _object_of(raw: bytes) -> dict[str, object] | None:
    try:
        decoded = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(decoded, dict):
        return None
    exact = decode_json(raw, "line 1")
    return exact if isinstance(exact, dict) else None


def _sole_list(document: Mapping[str, object]) -> object:
    lists = [each for each in document.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
    return lists[0] if len(lists) == 1 else None
