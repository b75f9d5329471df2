"""Export the evidence of a variance: each request and line that shows it, with what both sides say.

Where it is about sums, the requests of ours follow that would explain it, with what each of them adds.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, Engine

from metering.domain.errors import NotFoundError
from metering.domain.reconciliation.findings import Item
from metering.domain.reconciliation.invoices import InvoiceLine
from metering.domain.reconciliation.records import Evidence, Invoice, Reconciliation, Variance
from metering.operations.reconciliation.contributing_requests import ContributingRequest, contributing_requests
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.engine.database import read_snapshot
from metering.storage.reconciliation.invoices import invoice_with_id, lines_at
from metering.storage.reconciliation.reconciliations import items_of, reconciliation_with_id, variance_with_id
from metering.storage.usage.event_rows import EventRow, events_by_id

_AT_ONCE = 5_000


def export_evidence(engine: Engine, variance_id: int, *, limit: int | None = None) -> Iterator[tuple[Variance, Evidence]]:
    """Yield the differences of a variance in the order in which they were found, at most ``limit``. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        variance, run, _ = _found(connection, variance_id)
        items = items_of(connection, variance_id, limit=limit)
        while part := list(islice(items, _AT_ONCE)):
            rows = _rows(connection, [item.event_id for item in part if item.event_id is not None])
            lines = lines_at(connection, run.invoice_id, [item.position for item in part if item.position is not None])
            for item in part:
                row = None if item.event_id is None else rows.get(item.event_id)
                line = None if item.position is None else lines.get(item.position)
                yield variance, _evidence(variance, item, row, line)


def export_requests(engine: Engine, variance_id: int) -> Iterator[tuple[Variance, Evidence]]:
    """Yield the requests that would explain a variance of sums, by their times. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        variance, run, invoice = _found(connection, variance_id)
        behind = contributing_requests(connection, variance, run, invoice)
        while part := list(islice(behind, _AT_ONCE)):
            yield from ((variance, each) for each in _requests(connection, part))


def first_requests(engine: Engine, variance_id: int, *, limit: int) -> tuple[tuple[Evidence, ...], int]:
    """Return the first requests that would explain a variance of sums, and how many there are. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        behind = contributing_requests(connection, *_found(connection, variance_id))
        first = list(islice(behind, limit))
        return tuple(_requests(connection, first)), len(first) + sum(1 for _ in behind)


def _found(connection: Connection, variance_id: int) -> tuple[Variance, Reconciliation, Invoice]:
    variance = variance_with_id(connection, variance_id)
    run = None if variance is None else reconciliation_with_id(connection, variance.reconciliation_id)
    invoice = None if run is None else invoice_with_id(connection, run.invoice_id)
    if variance is None or run is None or invoice is None:
        raise NotFoundError(f"there is no variance {variance_id}")
    return variance, run, invoice


def _rows(connection: Connection, event_ids: list[int]) -> dict[int, EventRow]:
    return {row.id: row for row in events_by_id(connection, event_ids)} if event_ids else {}


def _requests(connection: Connection, behind: Sequence[ContributingRequest]) -> Iterator[Evidence]:
    rows = _rows(connection, [each.event_id for each in behind])
    for each in behind:
        shown = _of_event(rows[each.event_id])
        yield shown._replace(ours_nano=each.ours_nano, amount_nano=each.amount_nano, explanation=each.explanation)


def _evidence(variance: Variance, item: Item, row: EventRow | None, line: InvoiceLine | None) -> Evidence:
    known = Evidence(provider=variance.provider, model=variance.model) if row is None else _of_event(row)
    return known._replace(
        request_id=line.request_id if line is not None and line.request_id else known.request_id,
        line=item.position,
        session=variance.session,
        day=None if line is None else line.day,
        ours_nano=item.ours_nano,
        theirs_nano=item.theirs_nano,
        amount_nano=item.amount_nano,
    )


def _of_event(row: EventRow) -> Evidence:
    used = quantities_of(row)
    return Evidence(
        event_id=row.external_id,
        source=row.source,
        event_time=row.event_time,
        provider=row.provider,
        model=row.model,
        request_id=row.inference_id or row.response_id or row.external_id,
        input_tokens=used.input_tokens,
        cache_read_tokens=used.cache_read_tokens,
        output_tokens=used.output_tokens,
    )
