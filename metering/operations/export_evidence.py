"""Export the evidence of a variance: each request and line that shows it, with what both sides say."""

from collections.abc import Iterator
from itertools import islice

from sqlalchemy import Engine

from metering.domain.errors import NotFoundError
from metering.domain.reconciliation.findings import Item
from metering.domain.reconciliation.invoices import InvoiceLine
from metering.domain.reconciliation.records import Evidence, Variance
from metering.storage.database import reading
from metering.storage.event_quantities import quantities_of
from metering.storage.event_rows import EventRow, events_by_id
from metering.storage.invoices import lines_at
from metering.storage.reconciliations import items_of, reconciliation_with_id, variance_with_id

_AT_ONCE = 5_000


def export_evidence(engine: Engine, variance_id: int, *, limit: int | None = None) -> Iterator[tuple[Variance, Evidence]]:
    """Yield the differences of a variance in the order in which they were found. Raises NotFoundError."""
    with reading(engine) as connection:
        variance = variance_with_id(connection, variance_id)
        run = None if variance is None else reconciliation_with_id(connection, variance.reconciliation_id)
        if variance is None or run is None:
            raise NotFoundError(f"there is no variance {variance_id}")
        items = items_of(connection, variance_id, limit=limit)
        while part := list(islice(items, _AT_ONCE)):
            ids = [item.event_id for item in part if item.event_id is not None]
            positions = [item.position for item in part if item.position is not None]
            rows = {row.id: row for row in events_by_id(connection, ids)} if ids else {}
            lines = lines_at(connection, run.invoice_id, positions)
            for item in part:
                row = None if item.event_id is None else rows.get(item.event_id)
                line = None if item.position is None else lines.get(item.position)
                yield variance, _evidence(variance, item, row, line)


def _evidence(variance: Variance, item: Item, row: EventRow | None, line: InvoiceLine | None) -> Evidence:
    used = None if row is None else quantities_of(row)
    known_as = "" if row is None else row.inference_id or row.response_id or row.external_id
    return Evidence(
        event_id="" if row is None else row.external_id,
        source="" if row is None else row.source,
        event_time=None if row is None else row.event_time,
        provider=variance.provider if row is None else row.provider,
        model=variance.model if row is None else row.model,
        request_id=line.request_id if line is not None and line.request_id else known_as,
        line=item.position,
        input_tokens=None if used is None else used.input_tokens,
        cache_read_tokens=None if used is None else used.cache_read_tokens,
        output_tokens=None if used is None else used.output_tokens,
        ours_nano=item.ours_nano,
        theirs_nano=item.theirs_nano,
        amount_nano=item.amount_nano,
    )
