"""Give an account a discount: keep what was given, and record what it comes to as prices of the account's own. All or nothing.

Base prices that are recorded afterwards are followed (``steps/expand_discounts``). Given again with nothing new, it records
nothing.
"""

from sqlalchemy import Engine

from metering.domain.prices.account_discounts import DiscountRequest, RecordedDiscount
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import exclusive_write
from metering.storage.prices.price_discounts import insert_discount, load_discounts
from metering.storage.prices.price_tables import load_tables, record_tables
from pricing.discounts import BasePrices, Discount, counts_already, expand


def discount_prices(engine: Engine, asked: DiscountRequest, *, now: int) -> RecordedDiscount:
    """Keep a discount, expand it over everything that is recorded, and record it.

    Raises NotFoundError for the account, and pricing's InvalidDiscountError where there is nothing to take a discount off.
    """
    with exclusive_write(engine) as connection:
        account = find_account(connection, asked.account)
        recorded = load_tables(connection)
        discount = Discount(
            account_id=account.id,
            share=asked.share,
            effective_from=asked.effective_from,
            provider=asked.provider,
            model=asked.model,
        )
        given = load_discounts(connection, account.id)[account.id]
        base = BasePrices(recorded)
        if not counts_already(base, given, discount):
            insert_discount(connection, discount, now=now)
            given.append(discount)
        mine = [table for table in recorded if table.account_id == account.id]
        expanded = expand(base, mine, given, asked=discount)
        return RecordedDiscount(asked, record_tables(connection, expanded.tables, now=now), expanded)
