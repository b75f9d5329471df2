"""Import an invoice: keep the document unchanged, read its lines, and make an invoice of them.

Importing the same document again returns the invoice it became. A different document about the same usage and period, in the
same form, supersedes the invoice before; both are kept. An invoice of up to a chunk of lines is imported in one transaction. A
larger one takes one transaction per chunk, and its invoice row comes with the last chunk: what an interrupted import leaves is
not an invoice, and a later import of the document deletes it.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import asdict, replace
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import Account
from metering.domain.instants import MICROS_PER_SECOND
from metering.domain.reconciliation.descriptions import describe_grain, describe_period
from metering.domain.reconciliation.invoices import (
    HUGGING_FACE,
    Coverage,
    Grain,
    InvoiceError,
    InvoiceLine,
    InvoiceLineKind,
    routes_billed_by,
)
from metering.domain.reconciliation.records import ImportedInvoice, Invoice
from metering.domain.usage.events import ROUTES, UNKNOWN
from metering.invoices.detect import READERS, SAMPLE_BYTES, detect_format
from metering.invoices.reading import InvoiceHead, InvoiceReading, ReadOptions
from metering.operations.steps.find_account import find_account
from metering.operations.steps.pause_collector import collector_paused
from metering.storage.accounts.accounts import names_of_account
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.reconciliation.invoices import (
    Document,
    begin_document,
    delete_document,
    insert_invoice,
    insert_lines,
    insert_parts,
    invoice_of_document,
    invoice_with_id,
    invoices_between,
    is_being_imported,
)
from metering.storage.reconciliation.reconciliations import newest_reconciliation

CHUNK = 50_000
PART_BYTES = 1024 * 1024
PARTS_PER_WRITE = 16
IN_PROGRESS_MICROS = 10 * 60 * MICROS_PER_SECOND


class InvoiceOrder(Struct, frozen=True, kw_only=True):
    """How to read a document, and what the caller knows about it. Empty and None: as the document states.

    ``routes`` are the billing routes it covers, if not those of its biller. ``allow_overlap``: import it although its period
    overlaps that of another invoice about the same usage.
    """

    account: str
    format: str = ""
    file: str = ""
    number: str = ""
    total: str = ""
    routes: tuple[str, ...] = ()
    supersedes: int | None = None
    allow_overlap: bool = False
    options: ReadOptions = ReadOptions()


def import_invoice(engine: Engine, source: BinaryIO, order: InvoiceOrder, *, now: int) -> ImportedInvoice:
    """Import a document from a file that can be read twice. Raises NotFoundError, InvoiceError."""
    document = _document(source, order)
    with read_snapshot(engine) as connection:
        account = find_account(connection, order.account)
        known = _imported_before(connection, account, document)
        names = names_of_account(connection, account.id)
    if known is not None:
        return known
    options = replace(order.options, account_names=frozenset(names))
    sample = source.read(SAMPLE_BYTES)
    source.seek(0)
    read = READERS.get(order.format or detect_format(sample, mapped=bool(options.columns)))
    if read is None:
        raise InvoiceError(
            f"{order.format[:40]!r} is not an invoice format; use one of {', '.join(READERS)}", "unknown_invoice_format"
        )
    with collector_paused():
        draft = _InvoiceDraft(document, account, source, read(source, options))
        if draft.read_chunk():
            return _import_at_once(engine, draft, order, now)
        return _import_by_chunks(engine, draft, order, now)


def _imported_before(connection: Connection, account: Account, document: Document) -> ImportedInvoice | None:
    invoice = invoice_of_document(connection, account.id, document)
    if invoice is None:
        return None
    return ImportedInvoice(invoice, is_new=False, newest_run=newest_reconciliation(connection, [invoice.id]))


class _InvoiceDraft:
    """An invoice being imported: the lines read most recently, and the sums of all lines read."""

    def __init__(self, document: Document, account: Account, source: BinaryIO, reading: InvoiceReading) -> None:
        self.document = document
        self.account = account
        self.head = reading.head
        self.sums = _LineSums()
        self.chunk: list[InvoiceLine] = []
        self._source = source
        self._lines = reading.lines
        self._ahead: list[InvoiceLine] = []

    def read_chunk(self) -> bool:
        """Read the next chunk of lines; return whether it is the last one."""
        self.chunk = list(islice(chain(self._ahead, self._lines), CHUNK))
        for line in self.chunk:
            self.sums.add(line)
        following = next(self._lines, None) if len(self.chunk) == CHUNK else None
        self._ahead = [] if following is None else [following]
        return not self._ahead

    def numbered_parts(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the document in compressed parts, several at a time, with the number of the first of them."""
        self._source.seek(0)
        pieces = iter(lambda: self._source.read(PART_BYTES), b"")
        number = 0
        while parts := [zlib.compress(piece, 6) for piece in islice(pieces, PARTS_PER_WRITE)]:
            yield number, parts
            number += len(parts)


def _import_at_once(engine: Engine, draft: _InvoiceDraft, order: InvoiceOrder, now: int) -> ImportedInvoice:
    """Import an invoice of one chunk in one transaction: of two simultaneous imports, the second returns the first's."""
    with exclusive_write(engine) as connection:
        known = _imported_before(connection, draft.account, draft.document)
        if known is not None:
            return known
        document_id = begin_document(connection, draft.account.id, draft.document, now=now)
        for number, parts in draft.numbered_parts():
            insert_parts(connection, document_id, number, parts)
        return _finish(connection, document_id, draft, order, now)


def _import_by_chunks(engine: Engine, draft: _InvoiceDraft, order: InvoiceOrder, now: int) -> ImportedInvoice:
    """Import an invoice of many chunks, each in its own transaction, so that others can write in between."""
    with exclusive_write(engine) as connection:
        if is_being_imported(connection, draft.account.id, draft.document, since=now - IN_PROGRESS_MICROS):
            raise InvoiceError(
                "this document is being imported, or its import was interrupted in the last ten minutes; try again after that",
                "import_in_progress",
            )
        document_id = begin_document(connection, draft.account.id, draft.document, now=now)
    try:
        is_last = False
        while not is_last:
            with exclusive_write(engine) as connection:
                insert_lines(connection, document_id, draft.chunk)
            is_last = draft.read_chunk()
        for number, parts in draft.numbered_parts():
            with exclusive_write(engine) as connection:
                insert_parts(connection, document_id, number, parts)
        with exclusive_write(engine) as connection:
            return _finish(connection, document_id, draft, order, now)
    except BaseException:
        with exclusive_write(engine) as connection:
            delete_document(connection, document_id)
        raise


def _finish(connection: Connection, document_id: int, draft: _InvoiceDraft, order: InvoiceOrder, now: int) -> ImportedInvoice:
    """Write the lines that are left, and the row that turns them into an invoice."""
    insert_lines(connection, document_id, draft.chunk)
    invoice = _invoice(document_id, draft, order, now)
    invoice = _with_predecessor(connection, invoice, order)
    insert_invoice(connection, invoice)
    return ImportedInvoice(replace(invoice, digest=draft.document.digest), is_new=True)


class _LineSums(Struct):
    """Sums over the lines, and the finest grain of a usage line."""

    lines: int = 0
    nano: int = 0
    states_amounts: bool = False
    grain: str = Grain.TOTAL

    def add(self, line: InvoiceLine) -> None:
        self.lines += 1
        if line.amount_nano is not None:
            self.nano += line.amount_nano
            self.states_amounts = True
        if line.kind == InvoiceLineKind.USAGE and _FINENESS[line.grain] < _FINENESS[self.grain]:
            self.grain = line.grain


_FINENESS: dict[str, int] = {grain: at for at, grain in enumerate(Grain)}


def _invoice(document_id: int, draft: _InvoiceDraft, order: InvoiceOrder, now: int) -> Invoice:
    head, sums = draft.head, draft.sums
    coverage = _coverage(head, order)
    if not sums.lines:
        raise InvoiceError("the document has no lines")
    total_nano = _stated_total(order, head) if order.total else head.total_nano
    return Invoice(
        id=document_id,
        account_id=draft.account.id,
        biller=_biller(head, order),
        provider=coverage.provider,
        number=order.number,
        format=head.format,
        file=order.file,
        grain=sums.grain,
        routes=coverage.routes,
        start=coverage.start,
        end=coverage.end,
        issued_at=now,
        unit_nano=head.unit_nano,
        lines=sums.lines,
        lines_nano=sums.nano if sums.states_amounts else None,
        total_nano=total_nano,
        supersedes_id=None,
        notes=tuple(head.notes),
        imported_at=now,
        excluded=tuple(head.excluded),
    )


def _biller(head: InvoiceHead, order: InvoiceOrder) -> str:
    return order.options.biller or head.biller or HUGGING_FACE


def _coverage(head: InvoiceHead, order: InvoiceOrder) -> Coverage:
    """Return the usage that an invoice covers. What the caller states takes precedence. Raises InvoiceError."""
    start = head.start if order.options.start is None else order.options.start
    end = head.end if order.options.end is None else order.options.end
    if start is None or end is None:
        raise InvoiceError("the document does not state its period; give a month, or a start and an end", "period_required")
    biller = _biller(head, order)
    routes = order.routes or routes_billed_by(biller)
    known = [route for route in ROUTES if route != UNKNOWN]
    for route in routes:
        if route not in known:
            raise InvoiceError(f"{route[:40]!r} is not a billing route of an invoice; use one of {', '.join(known)}")
    provider = order.options.provider or head.provider or ("" if biller == HUGGING_FACE else biller)
    coverage = Coverage(start, end, routes, provider)
    coverage.check()
    return coverage


def _stated_total(order: InvoiceOrder, head: InvoiceHead) -> int:
    """Return the total that the caller gives. The coarser unit of the total and the lines becomes the invoice's unit."""
    pasted = READERS["total"](io.BytesIO(order.total.encode()), order.options)
    head.unit_nano = max(head.unit_nano, pasted.head.unit_nano)
    return pasted.head.total_nano or 0


def _with_predecessor(connection: Connection, invoice: Invoice, order: InvoiceOrder) -> Invoice:
    """Return the invoice with the one that it supersedes, and with notes about others that cover some of its usage.

    Raises InvoiceError if it overlaps another invoice of the same form, because that would bill the usage twice.
    """
    supersedes = None if order.supersedes is None else _to_supersede(connection, invoice, order.supersedes).id
    current = invoices_between(connection, invoice.account_id, invoice.start, invoice.end)
    others = [each for each in current if each.id != supersedes and each.coverage.overlaps(invoice.coverage)]
    alike = [each for each in others if _form(each) == _form(invoice)]
    if supersedes is None:
        same = [each for each in alike if (each.start, each.end, each.number) == (invoice.start, invoice.end, invoice.number)]
        supersedes = same[-1].id if same else None
        if alike and not same and not order.allow_overlap:
            other = alike[-1]
            raise InvoiceError(
                f"its period overlaps invoice {other.id} ({describe_period(other.start, other.end)}); state that it supersedes"
                " that invoice, or allow the overlap",
                "overlapping_invoice",
            )
    notes = [
        f"invoice {each.id}, {describe_grain(each.grain)}, covers some of the same usage; only one can correct statements"
        for each in others
        if each.id != supersedes
    ]
    return replace(invoice, supersedes_id=supersedes, notes=(*invoice.notes, *notes))


def _form(invoice: Invoice) -> tuple[str, str, str, tuple[str, ...]]:
    """Return what two invoices of the same form share. A total and the lines behind it differ in form: one bill, seen twice."""
    return invoice.biller, invoice.provider, invoice.grain, tuple(sorted(invoice.routes))


def _to_supersede(connection: Connection, invoice: Invoice, invoice_id: int) -> Invoice:
    before = invoice_with_id(connection, invoice_id)
    if before is None or before.account_id != invoice.account_id:
        raise InvoiceError(
            f"the account has no invoice {invoice_id} to supersede; `metering reconcile show` lists them", "not_found"
        )
    if before.superseded_by is not None:
        raise InvoiceError(
            f"invoice {before.id} is already superseded, by invoice {before.superseded_by}; supersede that one",
            "already_exists",
        )
    return before


def _document(source: BinaryIO, order: InvoiceOrder) -> Document:
    digest, size = hashlib.sha256(), 0
    source.seek(0)
    while part := source.read(PART_BYTES):
        digest.update(part)
        size += len(part)
    source.seek(0)
    options = asdict(order.options) | {"format": order.format, "number": order.number, "total": order.total}
    stated = {name: value for name, value in options.items() if value and name != "account_names"}
    return Document(digest.hexdigest(), json.dumps(stated, sort_keys=True), size)
