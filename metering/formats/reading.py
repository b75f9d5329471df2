"""What reading one input needs besides its bytes, and what a reader of one format must offer."""

from typing import Protocol

from metering.domain.usage.events import UsageEvent
from metering.formats.event_times import EventTimes
from metering.formats.options import DecodeOptions
from metering.formats.record_fields import route_field
from metering.formats.unread_fields import UnreadFields


class Reading:
    """One input being read: its options, its clock, and the fields nobody read."""

    def __init__(self, options: DecodeOptions) -> None:
        self.options = options
        self.times = EventTimes(options)
        self.unread = UnreadFields()
        self.route = route_field(options.route)


class RecordReader(Protocol):
    """Turns the bytes of one record into an event."""

    def read(self, raw: bytes) -> UsageEvent:
        """Return the event, its id empty when the record states none and may go without. Raises RecordError."""

    def kept(self, raw: bytes) -> dict[str, str]:
        """Return what may be kept of a record that was refused."""
