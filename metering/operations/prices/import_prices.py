"""Import a price sheet, the operator's or one account's, all or nothing; then charge usage that was unpriced."""

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.prices.price_imports import PriceImport
from metering.operations.charges.rate_unpriced import rate_unpriced
from metering.operations.prices.expand_discounts import expand_discounts
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.prices.price_tables import record_tables
from pricing.errors import InvalidPriceError
from pricing.sources.csv_sheet import parse_csv_sheet
from pricing.sources.sheets import parse_sheet
from pricing.tables import DISCOUNT, Layer

SHEET_FORMATS = ("yaml", "csv")


class PriceSheet(Struct, frozen=True):
    """An unread price sheet: ``name`` identifies it in messages, ``format`` is one of SHEET_FORMATS.

    ``source`` names the price list of a CSV sheet (default: ``name``); a YAML sheet contains its own.
    """

    content: bytes
    name: str
    format: str = "yaml"
    source: str = ""


def import_prices(engine: Engine, sheet: PriceSheet, *, account: str | None, rate: bool, now: int) -> PriceImport:
    """Record the tables of a price sheet; with ``rate``, charge usage that was unpriced, the account's or all.

    The prices are committed first; if charging is interrupted, ``rate_unpriced`` does the rest. Raises pricing's errors for a
    bad sheet, naming the entry, and NotFoundError for the account.
    """
    account_id = None
    if account is not None:
        with read_snapshot(engine) as connection:
            account_id = find_account(connection, account).id
    layer = Layer.OPERATOR if account_id is None else Layer.ACCOUNT
    if sheet.format == "csv":
        source = sheet.source or sheet.name
        tables = parse_csv_sheet(sheet.content, name=sheet.name, source=source, layer=layer, account_id=account_id)
    else:
        tables = parse_sheet(sheet.content, name=sheet.name, layer=layer, account_id=account_id)
    if account_id is not None and any(table.source == DISCOUNT for table in tables):
        raise InvalidPriceError(
            f"{sheet.name}: the source {DISCOUNT!r} is reserved for the account's discounts; give the sheet another source"
        )
    with exclusive_write(engine) as connection:
        table_ids = record_tables(connection, tables, now=now)
        discount_ids = expand_discounts(connection, table_ids, now=now)
    if not rate:
        return PriceImport(table_ids, discount_ids)
    rated = rate_unpriced(engine, now=now, account_id=account_id)
    return PriceImport(table_ids, discount_ids, rated.rated, rated.amount_nano)
