"""What reading one input needs besides its bytes, and the interface of a reader."""

from typing import Protocol

from metering.domain.usage.events import UsageEvent
from metering.formats.event_times import EventTimes
from metering.formats.open_streams import StreamPart
from metering.formats.options import DecodeOptions
from metering.formats.record_fields import route_field
from metering.formats.unread_fields import UnreadFields


class Reading:
    """One input that is being read: its options, its times, and the fields that were not read.

    Raises DomainError for options that are not valid, InvalidTimeError for an unknown zone.
    """

    def __init__(self, options: DecodeOptions) -> None:
        options.check()
        self.options = options
        self.times = EventTimes(options)
        self.unread = UnreadFields(options.tag_fields)
        self.route = route_field(options.route)


class RecordReader(Protocol):
    """Turns the bytes of one record into an event."""

    def read(self, raw: bytes) -> UsageEvent | StreamPart | None:
        """Return the event. Its ID is empty if the record has none and does not need one. Raises RecordError.

        A record that is one chunk of a stream is returned as that. None: the record states nothing, such as an event of a
        stream that only keeps it open.
        """

    def kept(self, raw: bytes) -> dict[str, str]:
        """Return the fields of a rejected record that quarantine may keep."""
