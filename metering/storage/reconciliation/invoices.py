"""Invoices: the imported document, its lines, and the row that turns them into an invoice."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import astuple
from sqlalchemy import Connection, Row, delete, func, insert, or_, select

from metering.domain.instants import MICROS_PER_DAY
from metering.domain.reconciliation.invoices import NO_QUANTITIES, ExcludedInvoiceRow, InvoiceLine
from metering.domain.reconciliation.records import Invoice
from metering.storage.engine.backend import backend_of
from metering.storage.engine.bulk import insert_all
from metering.storage.engine.sql import fetch_rows, halved_sum, is_in_list, list_parameter, whole_sum
from metering.storage.tables import invoice_documents, invoice_lines, invoice_parts, invoices

_INSERT_LINES, _INSERT_PARTS = insert_all(invoice_lines), insert_all(invoice_parts)
_CHUNK = 20_000
_POSITIONS_PER_QUERY = 5_000
_quantities = msgspec.json.Decoder(dict[str, int]).decode
_superseding = invoices.alias("superseding")


class Document(NamedTuple):
    """A document: the digest of its content, the options it is read with (JSON), and its size in bytes."""

    digest: str
    reading: str
    size: int


def is_being_imported(connection: Connection, account_id: int, document: Document, *, since: int) -> bool:
    """Return whether an import of the document has begun after ``since`` and has not made an invoice yet."""
    statement = select(invoice_documents.c.id).where(
        invoice_documents.c.account_id == account_id,
        invoice_documents.c.digest == document.digest,
        invoice_documents.c.reading == document.reading,
        invoice_documents.c.begun_at > since,
        invoice_documents.c.id.not_in(select(invoices.c.id)),
    )
    return connection.execute(statement.limit(1)).first() is not None


def begin_document(connection: Connection, account_id: int, document: Document, *, now: int) -> int:
    """Record that a document's import begins; return its id.

    Deletes what interrupted imports of the account left: those of this document, and those begun more than a day ago.
    """
    leftovers = select(invoice_documents.c.id).where(
        invoice_documents.c.account_id == account_id,
        invoice_documents.c.id.not_in(select(invoices.c.id)),
        or_(invoice_documents.c.digest == document.digest, invoice_documents.c.begun_at < now - MICROS_PER_DAY),
    )
    for interrupted in connection.execute(leftovers).scalars().all():
        delete_document(connection, interrupted)
    document_id: int = connection.execute(
        insert(invoice_documents)
        .values(
            account_id=account_id,
            digest=document.digest,
            reading=document.reading,
            bytes=document.size,
            begun_at=now,
        )
        .returning(invoice_documents.c.id)
    ).scalar_one()
    return document_id


def delete_document(connection: Connection, document_id: int) -> None:
    """Delete a document that did not become an invoice."""
    for column in (invoice_lines.c.document_id, invoice_parts.c.document_id, invoice_documents.c.id):
        connection.execute(delete(column.table).where(column == document_id))


def insert_parts(connection: Connection, document_id: int, first: int, parts: Sequence[bytes]) -> None:
    """Append compressed parts of a document, numbered from ``first``."""
    _INSERT_PARTS.run(connection, [(document_id, number, bytearray(part)) for number, part in enumerate(parts, first)])


def insert_lines(connection: Connection, document_id: int, lines: Iterable[InvoiceLine]) -> None:
    """Append lines of a document."""
    values: list[Any] = []
    for line in lines:
        values += (
            document_id, line.position, str(line.kind), line.amount_nano, line.request_id, line.session, line.day,
            line.provider, line.model, line.requests, json.dumps(dict(line.quantities)) if line.quantities else "",
        )  # fmt: skip
    _INSERT_LINES.run_flat(connection, values)


def insert_invoice(connection: Connection, invoice: Invoice) -> None:
    """Append the row that turns a document into an invoice."""
    connection.execute(
        insert(invoices).values(
            id=invoice.id,
            account_id=invoice.account_id,
            biller=invoice.biller,
            provider=invoice.provider,
            number=invoice.number,
            format=invoice.format,
            file=invoice.file,
            grain=invoice.grain,
            routes=",".join(invoice.routes),
            period_start=invoice.start,
            period_end=invoice.end,
            issued_at=invoice.issued_at,
            unit_nano=invoice.unit_nano,
            lines=invoice.lines,
            lines_nano=invoice.lines_nano,
            total_nano=invoice.total_nano,
            supersedes_id=invoice.supersedes_id,
            notes=json.dumps(list(invoice.notes)),
            imported_at=invoice.imported_at,
            excluded_rows=json.dumps([astuple(each) for each in invoice.excluded]) if invoice.excluded else "",
        )
    )


_INVOICES = (
    select(invoices, _superseding.c.id.label("superseded_by"), invoice_documents.c.digest)
    .join(invoice_documents, invoice_documents.c.id == invoices.c.id)
    .join(_superseding, _superseding.c.supersedes_id == invoices.c.id, isouter=True)
)


def invoice_with_id(connection: Connection, invoice_id: int) -> Invoice | None:
    """Return an invoice; None if no invoice has the id."""
    row = connection.execute(_INVOICES.where(invoices.c.id == invoice_id)).one_or_none()
    return None if row is None else _invoice(row)


def invoice_of_document(connection: Connection, account_id: int, document: Document) -> Invoice | None:
    """Return the account's invoice from a document with this content, read with these options, if it exists."""
    statement = _INVOICES.where(
        invoices.c.account_id == account_id,
        invoice_documents.c.digest == document.digest,
        invoice_documents.c.reading == document.reading,
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _invoice(row)


def list_invoices(
    connection: Connection, *, account_id: int | None = None, before: int | None = None, limit: int | None = None
) -> list[Invoice]:
    """Return invoices with ids below ``before`` (None: all), newest first; of one account, if given."""
    statement = _INVOICES.order_by(invoices.c.id.desc()).limit(limit)
    if account_id is not None:
        statement = statement.where(invoices.c.account_id == account_id)
    if before is not None:
        statement = statement.where(invoices.c.id < before)
    return [_invoice(row) for row in connection.execute(statement)]


def invoices_between(connection: Connection, account_id: int, start: int, end: int) -> list[Invoice]:
    """Return the account's current (not superseded) invoices about a part of ``[start, end)``, oldest first."""
    statement = _INVOICES.where(
        invoices.c.account_id == account_id,
        invoices.c.period_start < end,
        invoices.c.period_end > start,
        _superseding.c.id.is_(None),
    ).order_by(invoices.c.id)
    return [_invoice(row) for row in connection.execute(statement)]


def document_parts(connection: Connection, invoice_id: int) -> Iterator[bytes]:
    """Yield the compressed parts of an invoice's document, in order."""
    part = 0
    while True:
        content = connection.execute(
            select(invoice_parts.c.content).where(invoice_parts.c.document_id == invoice_id, invoice_parts.c.part == part)
        ).scalar_one_or_none()
        if content is None:
            return
        yield bytes(content)
        part += 1


def line_sums(connection: Connection, invoice_id: int) -> dict[str, tuple[int, int]]:
    """Return (lines, nano-USD) by kind of line."""
    statement = (
        select(invoice_lines.c.kind, func.count(), *halved_sum(func.coalesce(invoice_lines.c.amount_nano, 0)))
        .where(invoice_lines.c.document_id == invoice_id)
        .group_by(invoice_lines.c.kind)
    )
    return {kind: (int(count), whole_sum(*amount)) for kind, count, *amount in connection.execute(statement)}


def brief_lines(connection: Connection, invoice_id: int) -> Iterator[tuple[int, str, int | None]]:
    """Yield (position, request id, nano-USD) of the usage lines that name a request, as plain tuples, in order."""
    lines = "SELECT position, request_id, amount_nano FROM invoice_lines WHERE document_id = ? AND position > ?"
    statement = f"{lines} AND kind = 'usage' AND request_id <> '' ORDER BY position LIMIT ?"
    after = -1
    while True:
        rows = fetch_rows(connection, statement, (invoice_id, after, _CHUNK))
        yield from rows
        if len(rows) < _CHUNK:
            return
        after = rows[-1][0]


def states_quantities(connection: Connection, invoice_id: int) -> bool:
    """Return whether any line of an invoice states quantities."""
    statement = select(invoice_lines.c.position).where(
        invoice_lines.c.document_id == invoice_id, invoice_lines.c.quantities != ""
    )
    return connection.execute(statement.limit(1)).first() is not None


def usage_lines(connection: Connection, invoice_id: int, *, naming_requests: bool = True) -> Iterator[InvoiceLine]:
    """Yield the usage lines of an invoice in order; without ``naming_requests`` only those that name no request."""
    after = -1
    while True:
        statement = (
            select(invoice_lines)
            .where(
                invoice_lines.c.document_id == invoice_id,
                invoice_lines.c.position > after,
                invoice_lines.c.kind == "usage",
            )
            .order_by(invoice_lines.c.position)
            .limit(_CHUNK)
        )
        if not naming_requests:
            statement = statement.where(invoice_lines.c.request_id == "")
        rows = connection.execute(statement).all()
        yield from map(_line, rows)
        if len(rows) < _CHUNK:
            return
        after = rows[-1].position


def lines_at(connection: Connection, invoice_id: int, positions: Sequence[int]) -> dict[int, InvoiceLine]:
    """Return the lines at these positions."""
    found = {}
    at_positions = f"SELECT * FROM invoice_lines WHERE document_id = ? AND position {is_in_list(connection)}"
    sql = backend_of(connection).driver_sql(at_positions)
    for start in range(0, len(positions), _POSITIONS_PER_QUERY):
        part = list_parameter(connection, positions[start : start + _POSITIONS_PER_QUERY])
        found.update({row.position: _line(row) for row in connection.exec_driver_sql(sql, (invoice_id, part)).all()})
    return found


def _line(row: Row[Any]) -> InvoiceLine:
    return InvoiceLine(
        position=row.position,
        kind=row.kind,
        amount_nano=row.amount_nano,
        request_id=row.request_id,
        session=row.session,
        day=row.day,
        provider=row.provider,
        model=row.model,
        requests=row.requests,
        quantities=_quantities(row.quantities) if row.quantities else NO_QUANTITIES,
    )


def _invoice(row: Row[Any]) -> Invoice:
    return Invoice(
        id=row.id,
        account_id=row.account_id,
        biller=row.biller,
        provider=row.provider,
        number=row.number,
        format=row.format,
        file=row.file,
        grain=row.grain,
        routes=tuple(row.routes.split(",")),
        start=row.period_start,
        end=row.period_end,
        issued_at=row.issued_at,
        unit_nano=row.unit_nano,
        lines=row.lines,
        lines_nano=row.lines_nano,
        total_nano=row.total_nano,
        supersedes_id=row.supersedes_id,
        notes=tuple(json.loads(row.notes or "[]")),
        imported_at=row.imported_at,
        superseded_by=row.superseded_by,
        digest=row.digest,
        excluded=tuple(ExcludedInvoiceRow(*each) for each in json.loads(row.excluded_rows or "[]")),
    )
