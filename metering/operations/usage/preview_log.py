"""Preview a log: how its first records would be understood, and what they would cost. Nothing is written.

The same decoder and the same charges as in an ingest. Without a database there are the bundled prices.
"""

from contextlib import nullcontext
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from metering.domain.usage.batches import BatchBuilder
from metering.domain.usage.charging import route_of
from metering.domain.usage.dry_runs import LogPreview, PreviewedRecord
from metering.domain.usage.events import DecodedBlock, PriceGrade, QuantityGrade, UsageEvent
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.csv_columns import read_header
from metering.formats.detect import DetectedFormat
from metering.formats.redaction import redacted_json, redacted_row
from metering.operations.steps.resolve_accounts import UNASSIGNED, BillingAccount, resolve_names
from metering.operations.usage.charge_events import charge_events
from metering.operations.usage.ingest_log import LogRequest, detected_format
from metering.operations.usage.read_log import LogReader
from metering.storage.engine.database import read_snapshot
from metering.storage.prices.price_books import load_book
from pricing.book import PriceBook
from pricing.bundled import bundled_tables
from pricing.possible import PossibleCost, PossibleCosts, UnknownUsage

MAX_RECORDS = 5


class _Prices(NamedTuple):
    """Prices and accounts to preview charges with; without a database, ``connection`` is None."""

    connection: Connection | None
    book: PriceBook
    possible: PossibleCosts


def preview_log(engine: Engine | None, request: LogRequest) -> LogPreview:
    """Return how the first MAX_RECORDS records would be read. ``engine`` None: there is no database yet.

    Raises LogFormatError for an input that cannot be read, and DomainError for options that are not valid.
    """
    request.options.check()
    with LogReader(request.path) as reader:
        detected = detected_format(request, reader)
        decoder = BlockDecoder(detected.format, request.options)
        if detected.shape == "document":
            data = reader.document()
            first, block = RawBlock(data, 1, 0), decoder.decode_document(data)
        else:
            blocks = (each for each in reader.blocks(quoted=detected.format == "csv") if isinstance(each, RawBlock))
            first = next(blocks, RawBlock(b"", 1, 0))
            block = decoder.decode_last(first)
    with nullcontext() if engine is None else read_snapshot(engine) as connection:
        book = PriceBook(bundled_tables()) if connection is None else load_book(connection)
        records = _records(request, detected, first, block, _Prices(connection, book, PossibleCosts(book)))
    return LogPreview(request.path, request.options.source, detected.format, records, block.unread_fields)


def _records(
    request: LogRequest, detected: DetectedFormat, first: RawBlock, block: DecodedBlock, prices: _Prices
) -> list[PreviewedRecord]:
    positions = [(event.position, at) for at, event in enumerate(block.events)]
    positions += [(rejected.position, -1 - at) for at, rejected in enumerate(block.rejected)]
    shown = sorted(positions, key=lambda each: each[0].offset)[:MAX_RECORDS]
    wanted = DecodedBlock([block.events[at] for _, at in shown if at >= 0], [], {})
    charged = iter(_charged(wanted, prices))
    found = []
    for position, at in shown:
        raw = first.data[position.offset - first.offset :][: position.length]
        text = _shown(request, detected, first, raw)
        if at < 0:
            rejected = block.rejected[-1 - at]
            found.append(PreviewedRecord(position=position.line, by_index=block.by_index, raw=text, rejected=rejected))
        else:
            record = next(charged)
            found.append(
                PreviewedRecord(
                    position=position.line,
                    by_index=block.by_index,
                    raw=text,
                    event=block.events[at].event,
                    route=record.route,
                    failed=record.failed,
                    amount_nano=record.amount_nano,
                    possible=record.possible,
                )
            )
    return found


class _Charged(NamedTuple):
    route: str
    failed: bool
    amount_nano: int | None
    possible: PossibleCost | None


def _charged(block: DecodedBlock, prices: _Prices) -> list[_Charged]:
    """Charge the events of a block as an ingest would."""
    batch = BatchBuilder(frozenset()).batch_of(block)
    events = [decoded.event for decoded in block.events]
    billed = _billed(events, prices)
    routes = [
        route_of(event.route, event.provider, account.default_route) for event, account in zip(events, billed, strict=True)
    ]
    timelines = [
        prices.book.timeline(account.account_id or None, route, (event.provider, event.model, event.operation))
        for event, account, route in zip(events, billed, routes, strict=True)
    ]
    return [
        _Charged(
            route,
            charge.grade == PriceGrade.EXEMPT,
            charge.amount_nano,
            _possible(event, account, route, prices) if charge.amount_nano is None else None,
        )
        for event, account, route, charge in zip(events, billed, routes, charge_events(batch.events, timelines), strict=True)
    ]


def _billed(events: list[UsageEvent], prices: _Prices) -> list[BillingAccount]:
    if prices.connection is None:
        return [UNASSIGNED for _ in events]
    names = resolve_names(prices.connection, {event.account for event in events})
    return [names.at(event.account, event.time) for event in events]


def _possible(event: UsageEvent, account: BillingAccount, route: str, prices: _Prices) -> PossibleCost | None:
    if event.quantity_grade == QuantityGrade.UNSTATED:
        return None
    return prices.possible.of(
        UnknownUsage(
            account_id=account.account_id or None,
            route=route,
            provider=event.provider,
            model=event.model,
            operation=event.operation,
            start=event.time,
            end=event.time + 1,
            events=1,
            quantities=event.quantities,
        )
    )


def _shown(request: LogRequest, detected: DetectedFormat, first: RawBlock, raw: bytes) -> str:
    paths = {*request.options.columns.values(), *request.options.tag_fields}
    if detected.format != "csv":
        return redacted_json(raw, paths)
    head = first.data.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].rstrip(b"\r")
    delimiter, header = read_header(head, request.options.columns)
    return redacted_row(raw, header, delimiter, paths)
