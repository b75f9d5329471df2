"""A changed price together with the price list it belongs to."""

from msgspec import Struct

from pricing.changes import PriceChange
from pricing.quantities import PRICED_KINDS, REQUESTS

_KINDS = {kind: position for position, kind in enumerate((*PRICED_KINDS, REQUESTS))}


class ListedChange(Struct, frozen=True):
    """A changed price in one price list, for one route (empty: any)."""

    source: str
    route: str
    change: PriceChange

    @property
    def sort_key(self) -> tuple[str, str, str, str, str, int, int]:
        """Order of changes: by price list, route, provider, model, operation, context size and kind of quantity."""
        change = self.change
        kind = _KINDS[change.quantity]
        return self.source, self.route, change.provider, change.model, change.operation, change.context_from, kind
