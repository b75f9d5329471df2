"""The result of importing prices."""

from msgspec import Struct

from pricing.sources.source_report import SkippedEntry


class PriceImport(Struct, frozen=True):
    """Ids of the price tables that an import added, ``discount_ids`` for those in which discounts follow the new prices.

    ``charged_events`` and ``charged_nano`` are the previously unpriced usage that was charged, None if charging was not
    requested. ``left_out`` are the entries of the document that cannot be used; ``usable`` is whether any entry can.
    """

    table_ids: list[int]
    discount_ids: list[int]
    charged_events: int | None = None
    charged_nano: int | None = None
    left_out: tuple[SkippedEntry, ...] = ()
    usable: bool = True
