"""Export the evidence of a variance: each request and line that shows it, with what both sides state.

For a variance of sums, the metered requests that would explain it follow, with what each of them adds.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from metering.domain.reconciliation.findings import Item
from metering.domain.reconciliation.invoices import InvoiceLine
from metering.domain.reconciliation.records import Evidence, Variance
from metering.operations.reconciliation.contributing_requests import ContributingRequest, contributing_requests
from metering.operations.reconciliation.find_variance import find_variance
from metering.storage.charges.event_quantities import quantities_of
from metering.storage.engine.database import read_snapshot
from metering.storage.reconciliation.invoices import lines_at
from metering.storage.reconciliation.reconciliations import items_of
from metering.storage.usage.event_rows import EventRow, events_by_id

_CHUNK = 5_000


def export_all_evidence(engine: Engine, variance_id: int) -> Iterator[tuple[Variance, Evidence]]:
    """Yield all items of a variance, then all requests that would explain it. Raises NotFoundError."""
    return chain(export_evidence(engine, variance_id), export_requests(engine, variance_id))


def export_evidence(engine: Engine, variance_id: int, *, limit: int | None = None) -> Iterator[tuple[Variance, Evidence]]:
    """Yield the items of a variance in the order they were found, at most ``limit``. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        found = find_variance(connection, variance_id)
        items = items_of(connection, variance_id, limit=limit)
        while chunk := list(islice(items, _CHUNK)):
            rows = _rows(connection, [item.event_id for item in chunk if item.event_id is not None])
            positions = [item.position for item in chunk if item.position is not None]
            lines = lines_at(connection, found.invoice.id, positions)
            for item in chunk:
                row = None if item.event_id is None else rows.get(item.event_id)
                line = None if item.position is None else lines.get(item.position)
                yield found.variance, _evidence(found.variance, item, row, line)


def export_requests(engine: Engine, variance_id: int) -> Iterator[tuple[Variance, Evidence]]:
    """Yield the requests that would explain a variance of sums, by their times. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        found = find_variance(connection, variance_id)
        requests = contributing_requests(connection, found)
        while chunk := list(islice(requests, _CHUNK)):
            yield from ((found.variance, each) for each in _requests(connection, chunk))


def first_requests(engine: Engine, variance_id: int, *, limit: int) -> tuple[tuple[Evidence, ...], int]:
    """Return the first requests that would explain a variance of sums, and how many there are. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        requests = contributing_requests(connection, find_variance(connection, variance_id))
        first = list(islice(requests, limit))
        return tuple(_requests(connection, first)), len(first) + sum(1 for _ in requests)


def _rows(connection: Connection, event_ids: list[int]) -> dict[int, EventRow]:
    return {row.id: row for row in events_by_id(connection, event_ids)} if event_ids else {}


def _requests(connection: Connection, requests: Sequence[ContributingRequest]) -> Iterator[Evidence]:
    rows = _rows(connection, [each.event_id for each in requests])
    for each in requests:
        evidence = _of_event(rows[each.event_id])
        yield replace(evidence, ours_nano=each.ours_nano, amount_nano=each.amount_nano, explanation=each.explanation)


def _evidence(variance: Variance, item: Item, row: EventRow | None, line: InvoiceLine | None) -> Evidence:
    evidence = Evidence(provider=variance.provider, model=variance.model) if row is None else _of_event(row)
    return replace(
        evidence,
        request_id=line.request_id if line is not None and line.request_id else evidence.request_id,
        line=item.position,
        session=variance.session,
        day=None if line is None else line.day,
        ours_nano=item.ours_nano,
        theirs_nano=item.theirs_nano,
        amount_nano=item.amount_nano,
    )


def _of_event(row: EventRow) -> Evidence:
    quantities = quantities_of(row)
    return Evidence(
        event_id=row.external_id,
        source=row.source,
        event_time=row.event_time,
        provider=row.provider,
        model=row.model,
        request_id=row.inference_id or row.response_id or row.external_id,
        input_tokens=quantities.input_tokens,
        cache_read_tokens=quantities.cache_read_tokens,
        output_tokens=quantities.output_tokens,
    )
