"""Give an account a discount: record what it takes off as prices of the account's own. All of it or nothing.

A base price that is recorded afterwards is not discounted until this is run again; running it again with nothing new records
nothing.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Engine

from metering.domain.errors import DomainError
from metering.operations.steps.find_account import find_account
from metering.storage.database import writing
from metering.storage.price_tables import load_tables, record_tables
from pricing.discounts import SOURCE, Discount, Expanded, expand
from pricing.tables import Layer, PriceTable, RateKey, key_of


class DiscountSupersededError(DomainError):
    """The discount was recorded before and another one took its place; the same content can not be recorded twice."""

    code = "discount_superseded"


class DiscountAsked(Struct, frozen=True):
    """A share in millionths off an account's prices from an instant on, of one provider or model where they are named."""

    account: str
    share: int
    effective_from: int
    provider: str | None = None
    model: str | None = None


class DiscountRecorded(Struct, frozen=True):
    """Ids of the tables that were new, and what the discount consists of."""

    table_ids: list[int]
    expanded: Expanded


def discount_prices(engine: Engine, asked: DiscountAsked, *, now: int) -> DiscountRecorded:
    """Expand a discount over everything that is recorded, and record it.

    Raises NotFoundError for the account, pricing's InvalidDiscountError where there is nothing to take a discount off, and
    DiscountSupersededError.
    """
    with writing(engine) as connection:
        account = find_account(connection, asked.account)
        recorded = load_tables(connection)
        discount = Discount(
            account_id=account.id,
            share=asked.share,
            effective_from=asked.effective_from,
            provider=asked.provider,
            model=asked.model,
        )
        expanded = expand(recorded, discount)
        _refuse_superseded(recorded, expanded.tables)
        return DiscountRecorded(record_tables(connection, expanded.tables, now=now), expanded)


def _refuse_superseded(recorded: Sequence[PriceTable], expanded: Sequence[PriceTable]) -> None:
    """Raise DiscountSupersededError where a table is known and one recorded after it decides about the same prices."""
    known = {table.digest: table for table in recorded if table.layer is Layer.ACCOUNT and table.source == SOURCE}
    for table in expanded:
        same = known.get(table.digest)
        if same is None:
            continue
        for other in known.values():
            later = other.id > same.id and _place(other) == _place(same)
            if later and _keys(same) & _keys(other):
                raise DiscountSupersededError(
                    "this discount was recorded before, and another one replaced it from the same instant on;"
                    " begin it at another instant"
                )


def _place(table: PriceTable) -> tuple[int | None, str, int]:
    return table.account_id, table.route, table.effective_from


def _keys(table: PriceTable) -> set[RateKey]:
    return {key_of(rate) for rate in table.rates} | table.withdrawn
