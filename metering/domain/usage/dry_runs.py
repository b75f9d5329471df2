"""What ingesting a log would do with its first records."""

from msgspec import Struct

from metering.domain.usage.events import RejectedRecord, UsageEvent
from pricing.possible import PossibleCost


class PreviewedRecord(Struct, frozen=True, kw_only=True):
    """A record with the event it would become, or the reason why it would become none.

    ``position`` is its line, or its index in a JSON document (``by_index``). ``raw`` is what may be shown of it. ``route`` is
    the billing route that it would have. ``amount_nano`` is None where it would be unpriced; ``possible`` is what it may have
    cost then. ``failed``: it would be counted and cost nothing.
    """

    position: int
    by_index: bool
    raw: str
    event: UsageEvent | None = None
    rejected: RejectedRecord | None = None
    route: str = ""
    failed: bool = False
    amount_nano: int | None = None
    possible: PossibleCost | None = None


class LogPreview(Struct, frozen=True):
    """How a log would be read: its format and its first records."""

    file: str
    source: str
    format: str
    records: list[PreviewedRecord]
    unread_fields: dict[str, int]
