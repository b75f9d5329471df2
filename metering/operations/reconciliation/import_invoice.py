"""Import a bill: keep the document as it came, read its lines, and make an invoice of them.

The same document again is the invoice that it became. Another document that tells the same usage of the same period in the
same way supersedes the invoice before; both stay. A bill goes in with one transaction; one of more than a chunk of lines with
one a chunk, and the invoice's own row with the last of them: what an interruption leaves is no invoice, and a later import of
the document takes it away.
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
from metering.domain.instants import MICROS_PER_SECOND, format_instant
from metering.domain.reconciliation.invoices import (
    HUGGING_FACE,
    Coverage,
    Grain,
    InvoiceError,
    InvoiceLine,
    InvoiceLineKind,
    routes_billed_by,
)
from metering.domain.reconciliation.records import Invoice
from metering.domain.usage.events import ROUTES, UNKNOWN
from metering.invoices.detect import BEGINNING, READERS, format_of
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

CHUNK = 50_000
PART_BYTES = 1024 * 1024
IN_PROGRESS_MICROS = 10 * 60 * MICROS_PER_SECOND


class InvoiceOrder(Struct, frozen=True, kw_only=True):
    """How a document is to be read, and what the caller knows of it. Empty and None: as the document says.

    ``routes`` are those whose usage the bill is about, if others than its biller usually charges. ``beside``: it stands beside
    an invoice whose period it overlaps.
    """

    account: str
    format: str = ""
    file: str = ""
    number: str = ""
    total: str = ""
    routes: tuple[str, ...] = ()
    supersedes: int | None = None
    beside: bool = False
    options: ReadOptions = ReadOptions()


class ImportedInvoice(Struct, frozen=True):
    """The invoice, and whether the import made it: not where the document was imported before."""

    invoice: Invoice
    is_new: bool


def import_invoice(engine: Engine, source: BinaryIO, order: InvoiceOrder, *, now: int) -> ImportedInvoice:
    """Import a document from a file that can be read twice. Raises NotFoundError, InvoiceError."""
    document = _document(source, order)
    with read_snapshot(engine) as connection:
        account = find_account(connection, order.account)
        known = invoice_of_document(connection, account.id, document)
        names = names_of_account(connection, account.id)
    if known is not None:
        return ImportedInvoice(known, is_new=False)
    options = replace(order.options, account_names=frozenset(names))
    beginning = source.read(BEGINNING)
    source.seek(0)
    read = READERS.get(order.format or format_of(beginning, mapped=bool(options.columns)))
    if read is None:
        raise InvoiceError(
            f"{order.format[:40]!r} is no format of a bill; there are {', '.join(READERS)}", "unknown_invoice_format"
        )
    with collector_paused():
        bill = _Bill(document, account, source, read(source, options))
        if bill.take():
            return _import_at_once(engine, bill, order, now)
        return _import_by_chunks(engine, bill, order, now)


class _Bill:
    """A bill that is being imported: what was read of it so far, and what that comes to."""

    def __init__(self, document: Document, account: Account, source: BinaryIO, reading_: InvoiceReading) -> None:
        self.document = document
        self.account = account
        self.head = reading_.head
        self.sums = _Sums()
        self.chunk: list[InvoiceLine] = []
        self._source = source
        self._lines = reading_.lines
        self._ahead: list[InvoiceLine] = []

    def take(self) -> bool:
        """Read the next chunk of lines; say whether it is the last one."""
        self.chunk = list(islice(chain(self._ahead, self._lines), CHUNK))
        for line in self.chunk:
            self.sums.add(line)
        following = next(self._lines, None) if len(self.chunk) == CHUNK else None
        self._ahead = [] if following is None else [following]
        return not self._ahead

    def parts(self) -> Iterator[list[bytes]]:
        """Yield the document in compressed parts, some at a time."""
        self._source.seek(0)
        while parts := [zlib.compress(part, 6) for part in islice(iter(lambda: self._source.read(PART_BYTES), b""), 16)]:
            yield parts


def _import_at_once(engine: Engine, bill: _Bill, order: InvoiceOrder, now: int) -> ImportedInvoice:
    """Import a bill of one chunk in one transaction: of two at the same time, the second finds it done."""
    with exclusive_write(engine) as connection:
        known = invoice_of_document(connection, bill.account.id, bill.document)
        if known is not None:
            return ImportedInvoice(known, is_new=False)
        document_id = begin_document(connection, bill.account.id, bill.document, now=now)
        number = 0
        for parts in bill.parts():
            insert_parts(connection, document_id, number, parts)
            number += len(parts)
        return _finish(connection, document_id, bill, order, now)


def _import_by_chunks(engine: Engine, bill: _Bill, order: InvoiceOrder, now: int) -> ImportedInvoice:
    """Import a bill of many chunks, each a transaction, so that others can write in between."""
    with exclusive_write(engine) as connection:
        if is_being_imported(connection, bill.account.id, bill.document, since=now - IN_PROGRESS_MICROS):
            raise InvoiceError(
                "this document is being imported, or its import was interrupted in the last ten minutes; try again then",
                "import_in_progress",
            )
        document_id = begin_document(connection, bill.account.id, bill.document, now=now)
    try:
        is_last = False
        while not is_last:
            with exclusive_write(engine) as connection:
                insert_lines(connection, document_id, bill.chunk)
            is_last = bill.take()
        number = 0
        for parts in bill.parts():
            with exclusive_write(engine) as connection:
                insert_parts(connection, document_id, number, parts)
            number += len(parts)
        with exclusive_write(engine) as connection:
            return _finish(connection, document_id, bill, order, now)
    except BaseException:
        with exclusive_write(engine) as connection:
            delete_document(connection, document_id)
        raise


def _finish(connection: Connection, document_id: int, bill: _Bill, order: InvoiceOrder, now: int) -> ImportedInvoice:
    """Write the lines that are left, and the row that makes an invoice of them."""
    insert_lines(connection, document_id, bill.chunk)
    invoice = _invoice(document_id, bill.account, bill.head, bill.sums, order, now)
    invoice = _placed(connection, invoice, order)
    insert_invoice(connection, invoice)
    return ImportedInvoice(replace(invoice, digest=bill.document.digest), is_new=True)


class _Sums(Struct):
    """What the lines come to."""

    lines: int = 0
    nano: int = 0
    stated: bool = False
    grain: str = Grain.TOTAL

    def add(self, line: InvoiceLine) -> None:
        self.lines += 1
        if line.amount_nano is not None:
            self.nano += line.amount_nano
            self.stated = True
        if line.kind == InvoiceLineKind.USAGE and _GRAINS[line.grain] < _GRAINS[self.grain]:
            self.grain = line.grain


_GRAINS: dict[str, int] = {grain: at for at, grain in enumerate(Grain)}


def _invoice(document_id: int, account: Account, head: InvoiceHead, sums: _Sums, order: InvoiceOrder, now: int) -> Invoice:
    start = head.start if order.options.start is None else order.options.start
    end = head.end if order.options.end is None else order.options.end
    if start is None or end is None:
        raise InvoiceError("the document does not state its period; say from when until when it is", "period_required")
    if not sums.lines:
        raise InvoiceError("the document has no lines")
    biller = order.options.biller or head.biller or HUGGING_FACE
    routes = order.routes or routes_billed_by(biller)
    unknown = [route for route in routes if route not in ROUTES or route == UNKNOWN]
    if unknown:
        raise InvoiceError(f"{unknown[0][:40]!r} is no route that a bill can be about")
    Coverage(start, end, routes).check()
    total = _stated_total(order, head) if order.total else head.total_nano
    return Invoice(
        id=document_id,
        account_id=account.id,
        biller=biller,
        provider=order.options.provider or head.provider or ("" if biller == HUGGING_FACE else biller),
        number=order.number or head.number,
        format=head.format,
        file=order.file,
        grain=sums.grain,
        routes=routes,
        start=start,
        end=end,
        issued_at=now if head.issued_at is None else head.issued_at,
        unit_nano=head.unit_nano,
        lines=sums.lines,
        lines_nano=sums.nano if sums.stated else None,
        total_nano=total,
        supersedes_id=None,
        notes=tuple(head.notes),
        imported_at=now,
    )


def _stated_total(order: InvoiceOrder, head: InvoiceHead) -> int:
    """Return the total that the caller read on the bill; how finely it is stated counts for all of it."""
    pasted = READERS["total"](io.BytesIO(order.total.encode()), order.options)
    head.unit_nano = max(head.unit_nano, pasted.head.unit_nano)
    return pasted.head.total_nano or 0


def _placed(connection: Connection, invoice: Invoice, order: InvoiceOrder) -> Invoice:
    """Return the invoice with the one that it supersedes, and with a note of what else is about its usage.

    Raises InvoiceError where it overlaps another that says the same usage in the same way: it would be a second bill for it.
    """
    supersedes = None if order.supersedes is None else _to_supersede(connection, invoice, order.supersedes).id
    known = invoices_between(connection, invoice.account_id, invoice.start, invoice.end)
    others = [each for each in known if each.id != supersedes and each.coverage.overlaps(invoice.coverage)]
    alike = [each for each in others if _manner(each) == _manner(invoice)]
    if supersedes is None:
        same = [each for each in alike if (each.start, each.end, each.number) == (invoice.start, invoice.end, invoice.number)]
        supersedes = same[-1].id if same else None
        if alike and not same and not order.beside:
            other = alike[-1]
            raise InvoiceError(
                f"invoice {other.id} is about {format_instant(other.start)} until {format_instant(other.end)} already, which"
                " overlaps: say that this one supersedes it, or that it stands beside it",
                "overlapping_invoice",
            )
    notes = [
        f"invoice {each.id}, by {each.grain}, is about some of the same usage: statements are corrected by one of the two alone"
        for each in others
        if each.id != supersedes
    ]
    return replace(invoice, supersedes_id=supersedes, notes=(*invoice.notes, *notes))


def _manner(invoice: Invoice) -> tuple[str, str, str, tuple[str, ...]]:
    """Say how an invoice tells usage: a total and the lines behind it are one bill told twice, and no two bills."""
    return invoice.biller, invoice.provider, invoice.grain, tuple(sorted(invoice.routes))


def _to_supersede(connection: Connection, invoice: Invoice, invoice_id: int) -> Invoice:
    before = invoice_with_id(connection, invoice_id)
    if before is None or before.account_id != invoice.account_id:
        raise InvoiceError(f"there is no invoice {invoice_id} of this account to supersede", "not_found")
    if before.superseded_by is not None:
        raise InvoiceError(f"invoice {before.id} is superseded already, by {before.superseded_by}", "already_exists")
    return before


def _document(source: BinaryIO, order: InvoiceOrder) -> Document:
    digest, size = hashlib.sha256(), 0
    source.seek(0)
    while part := source.read(PART_BYTES):
        digest.update(part)
        size += len(part)
    source.seek(0)
    told = asdict(order.options) | {"format": order.format, "number": order.number, "total": order.total}
    stated = {name: value for name, value in told.items() if value and name != "account_names"}
    return Document(digest.hexdigest(), json.dumps(stated, sort_keys=True), size)
