"""Discounts of accounts. Rows are appended and never changed; the row recorded last takes precedence."""

from collections import defaultdict

from sqlalchemy import Connection, insert, select

from metering.storage.tables import price_discounts
from pricing.discounts import Discount


def insert_discount(connection: Connection, discount: Discount, *, now: int) -> int:
    """Write a discount; return the id of its row."""
    row = {
        "account_id": discount.account_id,
        "share": discount.share,
        "effective_from": discount.effective_from,
        "provider": discount.provider,
        "model": discount.model,
        "recorded_at": now,
    }
    discount_id: int = connection.execute(insert(price_discounts).values(**row).returning(price_discounts.c.id)).scalar_one()
    return discount_id


def load_discounts(connection: Connection, account_id: int | None = None) -> dict[int, list[Discount]]:
    """Return the discounts of each account, or of one, in order of recording."""
    statement = select(price_discounts).order_by(price_discounts.c.id)
    if account_id is not None:
        statement = statement.where(price_discounts.c.account_id == account_id)
    discounts: dict[int, list[Discount]] = defaultdict(list)
    for row in connection.execute(statement):
        discounts[row.account_id].append(
            Discount(
                account_id=row.account_id,
                share=row.share,
                effective_from=row.effective_from,
                provider=row.provider,
                model=row.model,
            )
        )
    return discounts
