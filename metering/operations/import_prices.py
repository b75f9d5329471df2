"""Import a price sheet: the operator's prices, or those of one account. All of it or nothing."""

from sqlalchemy import Engine

from metering.operations.steps.find_account import find_account
from metering.storage.database import reading, writing
from metering.storage.price_tables import record_tables
from pricing.sources.sheets import parse_sheet
from pricing.tables import Layer


def import_prices(engine: Engine, sheet: bytes, *, name: str, account: str | None, now: int) -> list[int]:
    """Record the tables of a YAML price sheet; return the ids of those that were new.

    Usage that waits for these prices is charged by rating it. Raises pricing's errors for a bad sheet, naming the entry, and
    NotFoundError for the account.
    """
    account_id = None
    if account is not None:
        with reading(engine) as connection:
            account_id = find_account(connection, account).id
    layer = Layer.OPERATOR if account_id is None else Layer.ACCOUNT
    tables = parse_sheet(sheet, name=name, layer=layer, account_id=account_id)
    with writing(engine) as connection:
        return record_tables(connection, tables, now=now)
