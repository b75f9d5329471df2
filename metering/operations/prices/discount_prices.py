"""Give an account a discount: record it, and expand it into the account's own price tables, in one transaction.

Base prices that are recorded later are followed (``expand_discounts``). Recording a discount that is in effect adds nothing.
"""

from sqlalchemy import Engine

from metering.domain.prices.account_discounts import DiscountRequest, RecordedDiscount
from metering.domain.usage.model_names import provider_name
from metering.operations.steps.find_account import find_account
from metering.storage.engine.database import exclusive_write
from metering.storage.prices.price_discounts import insert_discount, load_discounts
from metering.storage.prices.price_tables import load_tables, record_tables
from pricing.discounts import BasePrices, Discount, expand, is_in_effect


def discount_prices(engine: Engine, request: DiscountRequest, *, now: int) -> RecordedDiscount:
    """Record a discount and the price tables that follow from it.

    Raises NotFoundError for the account, and pricing's InvalidDiscountError if there is nothing to discount.
    """
    with exclusive_write(engine) as connection:
        account = find_account(connection, request.account)
        tables = load_tables(connection)
        discount = Discount(
            account_id=account.id,
            share=request.share,
            effective_from=request.effective_from,
            provider=None if request.provider is None else provider_name(request.provider),
            model=request.model,
        )
        discounts = load_discounts(connection, account.id)[account.id]
        base = BasePrices(tables)
        if not is_in_effect(base, discounts, discount):
            insert_discount(connection, discount, now=now)
            discounts.append(discount)
        own = [table for table in tables if table.account_id == account.id]
        expanded = expand(base, own, discounts, requested=discount)
        table_ids = record_tables(connection, expanded.tables, now=now)
    return RecordedDiscount(account.name, discount, table_ids, expanded)
