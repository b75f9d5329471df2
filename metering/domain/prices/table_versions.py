"""A version of a price list: one price table, without its prices."""

from msgspec import Struct

from pricing.tables import Layer


class TableVersion(Struct, frozen=True):
    """A price table without its prices. Times are microseconds UTC; ``account_id`` is the owner on the account layer."""

    id: int
    source: str
    layer: Layer
    route: str
    account_id: int | None
    effective_from: int
    recorded_at: int
    digest: str
